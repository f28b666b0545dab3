//! Client rows: where and how each AI client keeps its servers.
//!
//! A client is data: a [`spec::Row`], from `manifests/clients/` or inline in a manifest, becomes a
//! [`Client`] by [`Client::check`]. From there [`Client::locate`] finds the file, [`Client::render`]
//! says what must stand in it, and [`Client::read`] understands what stands there.
//!
//! Invariant: pure. The system's facts come in through [`Env`]; nothing here names a single client.
//!
//! Start reading at [`catalog`], then `render`.

pub mod catalog;
mod dialect;
mod filter;
mod launch;
mod locate;
mod read;
mod render;
mod shape;
pub mod spec;
mod text;

#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use launch::{Launch, Wanted};
pub use locate::{Env, Place, Scope, Unplaced};
pub use read::Found;
pub use render::{Rendered, Side};
pub use text::{Part, Text};

use crate::base::{Diagnostic, Pointer};
use dialect::{Dialect, Field};
use shape::{Filters, Shape, Slot, Switch, Token, wrong};
use spec::{Container, Row, Template, Tools};

/// A client whose row has been checked.
#[derive(Clone, Debug)]
pub struct Client {
    id: String,
    row: Row,
    dialect: Dialect,
    stdio: Option<Kept>,
    http: Option<Kept>,
    sse: Option<Kept>,
}

/// How servers of one transport are kept.
#[derive(Clone, Debug)]
struct Kept {
    shape: Shape,
    switch: Option<Switch>,
    filters: Filters,
    /// The container, when it is not that of the place.
    elsewhere: Option<(Pointer, Option<String>)>,
}

impl Client {
    /// Makes a client of a row, or says everything that is wrong with it.
    pub fn check(id: &str, row: Row) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut kept = |field: &str, template: &Option<Template>, elsewhere: &Option<Container>| {
            template.as_ref().map(|template| keep(&row, field, template, elsewhere, &mut problems))
        };
        let stdio = kept("stdio", &row.stdio, &None);
        let http = kept("http", &row.http, &row.elsewhere.http);
        let sse = kept("sse", &row.sse, &row.elsewhere.sse);
        if stdio.is_none() && http.is_none() && sse.is_none() {
            let problem = Diagnostic::error("no-transport", "the client takes no kind of server");
            problems.push(problem.hint("give at least one of `stdio`, `http` and `sse`"));
        }
        if row.root.0.is_empty() {
            problems.push(wrong("`root` is the whole file".to_owned()));
        }
        check_variables(&row, &mut problems);
        let row_has_no_place = row.path.is_empty() && row.project.is_none();
        if row_has_no_place {
            problems.push(
                Diagnostic::error("no-place", "the client has no file").hint("give `path` or `project`"),
            );
        }
        let local = row.project.as_ref().and_then(|project| project.local.as_ref());
        if let Some(Err(error)) = local.map(|local| local.parse::<Pointer>()) {
            problems.push(Diagnostic::error("bad-pointer", format!("`project.local`: {error}")));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let dialect = row.variables.as_ref().map(Dialect::new).unwrap_or_default();
        Ok(Self { id: id.to_owned(), row, dialect, stdio, http, sse })
    }

    /// The id under which the manifest names it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name people know it by.
    pub fn name(&self) -> &str {
        if self.row.name.is_empty() { &self.id } else { &self.row.name }
    }

    /// Its row, for everything that is only looked at.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Whether it takes a server of this name; if not, why, as the end of a sentence.
    pub fn accepts(&self, name: &str) -> Result<(), String> {
        let rules = &self.row.names;
        let extra = rules.extra.as_deref().unwrap_or("_-.");
        let client = self.name();
        if name.is_empty() {
            return Err("a server needs a name".to_owned());
        }
        if rules.lowercase && name.chars().any(char::is_uppercase) {
            return Err(format!("{client} takes lower-case letters only"));
        }
        if let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !extra.contains(*c)) {
            return Err(format!("{client} does not take `{odd}` in a name"));
        }
        if let Some(max) = rules.max.filter(|max| name.chars().count() > *max) {
            return Err(format!("{client} takes at most {max} characters"));
        }
        if rules.letter_first && !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(format!("{client} wants a letter or `_` at the beginning"));
        }
        if rules.reserved.iter().any(|reserved| reserved == name) {
            return Err(format!("{client} keeps this name for itself"));
        }
        match rules.forbid.iter().find(|fragment| name.contains(fragment.as_str())) {
            Some(fragment) => Err(format!("{client} does not take `{fragment}` in a name")),
            None => Ok(()),
        }
    }

    /// Whether it reaches servers in this way at all.
    pub fn takes(&self, launch: &Launch) -> bool {
        self.kept(launch).is_some()
    }

    /// The filter as it stands in this client's file; none if it cannot be said there.
    pub fn says(&self, launch: &Launch, tools: &Filter) -> Option<Filter> {
        tools.fit(&self.kept(launch)?.filters).ok()
    }

    /// Whether a member of an entry says how the server is started or reached.
    pub fn is_launch(&self, member: &str) -> bool {
        let kept = [&self.stdio, &self.http, &self.sse].into_iter().flatten();
        let is_token = |slot: &Slot| matches!(slot, Slot::Token(token) if token.is_launch());
        kept.flat_map(|kept| &kept.shape.leaves).any(|leaf| leaf.top == member && is_token(&leaf.slot))
    }

    /// The containers of servers in its file: where, and the identifying member if it is a list.
    pub fn containers(&self, place: &Place) -> Vec<(Pointer, Option<String>)> {
        let mut containers = vec![(place.root.clone(), place.list.clone())];
        for kept in [&self.stdio, &self.http, &self.sse].into_iter().flatten() {
            containers.extend(kept.elsewhere.clone().filter(|other| !containers.contains(other)));
        }
        containers
    }
}

fn keep(
    row: &Row,
    field: &str,
    template: &Template,
    elsewhere: &Option<Container>,
    problems: &mut Vec<Diagnostic>,
) -> Kept {
    let shape = Shape::new(field, template, &row.always, problems);
    let (disable, tools, list) = match elsewhere {
        Some(other) => (&other.disable, &other.tools, &other.list),
        None => (&row.disable, &row.tools, &row.list),
    };
    let member = list.as_ref().map(|member| (member, shape.leaves.iter().find(|leaf| leaf.top == *member)));
    match member {
        Some((_, Some(leaf))) if matches!(leaf.slot, Slot::Token(Token::Name | Token::Url)) => {}
        Some((member, _)) => {
            let message = format!("`{field}` needs the member `{member}`, which identifies a server");
            problems.push(wrong(message).hint(format!("write `{member}: \"{{name}}\"`")));
        }
        None => {}
    }
    let switch = disable.as_ref().and_then(|disable| Switch::new("disable", disable, problems));
    let no_tools = Tools::default();
    let filters = Filters::new("tools", tools.as_ref().unwrap_or(&no_tools), problems);
    let elsewhere = elsewhere.as_ref().map(|other| (other.root.clone(), other.list.clone()));
    Kept { shape, switch, filters, elsewhere }
}

fn check_variables(row: &Row, problems: &mut Vec<Diagnostic>) {
    let Some(variables) = &row.variables else { return };
    if variables.env.as_ref().is_some_and(|form| !form.contains("NAME")) {
        problems.push(wrong("`variables.env` does not say where the `NAME` stands".to_owned()));
    }
    for word in
        variables.fields.iter().chain(&variables.bare).chain(&variables.escape_fields).chain(&variables.again)
    {
        if !Field::WORDS.contains(&word.as_str()) {
            let problem = wrong(format!("`variables` names the unknown field `{word}`"));
            problems.push(problem.hint(format!("use one of {}", Field::WORDS.join(" "))));
        }
    }
}
