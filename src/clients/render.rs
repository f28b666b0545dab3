//! What must stand in a client's file for one server.
//!
//! Invariant: a rendering without an error among its problems, written to the file, makes the client
//! do exactly what was asked; whatever it cannot do is a problem, never a silent loss.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::dialect::{Field, Refusal};
use super::filter::Unfiltered;
use super::shape::{Leaf, Slot, Spot, Switch, Token, members, put};
use super::{Client, Filter, Kept, Launch, Place, Text, Wanted};
use crate::base::{Diagnostic, Pointer, Step};

/// What must stand in the file for one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The place of the entry in the file.
    pub entry: Pointer,
    /// Its fields, by their place in the entry, in order.
    pub fields: IndexMap<Pointer, Value>,
    /// Values elsewhere in the file.
    pub sides: Vec<Side>,
    /// Fields of which only the row has an opinion: constants, names, and what is empty. An entry that
    /// lacks them says nothing else than one that has them.
    pub made: Vec<Pointer>,
    /// Fields that say how the server is reached and that it does not need: they must be empty.
    pub empty: Vec<Pointer>,
    /// Values that would contradict what was asked: where the file holds exactly this, it must go.
    pub against: Vec<Side>,
    /// Fields of `fields` that mean the same when the file leaves them out.
    pub implied: Vec<Pointer>,
    /// Whether the server is switched off and the client has no switch, so that no entry is written.
    pub omitted: bool,
    /// What the client cannot do as asked. With an error among them nothing may be written.
    pub problems: Vec<Diagnostic>,
}

/// A value at a place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// From the file's root.
    pub at: Pointer,
    /// What stands there.
    pub value: Value,
}

impl Rendered {
    /// The whole entry as one value.
    pub fn value(&self) -> Value {
        let mut entry = Value::Object(Map::new());
        self.fields.iter().for_each(|(at, value)| put(&mut entry, at, value.clone()));
        entry
    }

    /// Whether it must not be written.
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }
}

/// The delivery that does what a client cannot.
const USE_EXEC: &str = "set `delivery: exec` for this client";
const USE_ADDRESS: &str =
    "a server with the gateway's address as its `url` and a token of `mcpkeel token create` reaches it";

impl Client {
    /// Says what must stand in the file at `place` for the server.
    pub fn render(&self, wanted: &Wanted, place: &Place) -> Rendered {
        let mut rendered = Rendered {
            entry: place.root.key(&wanted.name),
            fields: IndexMap::new(),
            sides: Vec::new(),
            made: Vec::new(),
            empty: Vec::new(),
            against: Vec::new(),
            implied: Vec::new(),
            omitted: false,
            problems: Vec::new(),
        };
        if let Err(why) = self.accepts(&wanted.name) {
            let message = format!("the name `{}` cannot be used: {why}", wanted.name);
            let problem = Diagnostic::error("name-refused", message);
            rendered.problems.push(problem.hint("rename the server in the manifest"));
        }
        let Some(kept) = self.kept(&wanted.launch) else {
            rendered.problems.push(self.no_transport(wanted));
            return rendered;
        };
        rendered.implied = self.implied(&wanted.launch).to_vec();
        rendered.entry = self.entry(wanted, kept, place);
        if !wanted.enabled && kept.switch.is_none() {
            let message =
                format!("{} has no switch for a server, so `{}` is left out", self.name(), wanted.name);
            rendered.problems.push(Diagnostic::note("disabled-omitted", message));
            rendered.omitted = true;
            return rendered;
        }
        let mut writer = Writer { client: self, wanted, kept, out: rendered };
        writer.fields();
        writer.switch();
        writer.filter();
        writer.extra();
        writer.empty();
        writer.out
    }

    pub(super) fn kept(&self, launch: &Launch) -> Option<&Kept> {
        match launch {
            Launch::Stdio { .. } => self.stdio.as_ref(),
            Launch::Http { .. } => self.http.as_ref(),
            Launch::Sse { .. } => self.sse.as_ref(),
        }
    }

    fn implied(&self, launch: &Launch) -> &[Pointer] {
        let implied = &self.row().implied;
        match launch {
            Launch::Stdio { .. } => &implied.stdio,
            Launch::Http { .. } => &implied.http,
            Launch::Sse { .. } => &implied.sse,
        }
    }

    fn no_transport(&self, wanted: &Wanted) -> Diagnostic {
        let (code, what, hint) = match wanted.launch {
            Launch::Stdio { .. } => ("no-stdio", "starts no programs", USE_ADDRESS),
            Launch::Http { .. } => ("no-http", "does not speak streamable HTTP from its file", USE_EXEC),
            Launch::Sse { .. } => ("no-sse", "does not speak SSE", USE_EXEC),
        };
        Diagnostic::error(code, format!("{} {what}, which `{}` needs", self.name(), wanted.name)).hint(hint)
    }

    fn entry(&self, wanted: &Wanted, kept: &Kept, place: &Place) -> Pointer {
        let here = (place.root.clone(), place.list.clone());
        let (root, list) = kept.elsewhere.as_ref().unwrap_or(&here);
        let Some(member) = list else { return root.key(&wanted.name) };
        let by_url = kept.shape.leaf(Token::Url).is_some_and(|leaf| leaf.top == *member);
        let is = match &wanted.launch {
            Launch::Http { url, .. } | Launch::Sse { url, .. } if by_url => {
                self.dialect.write(url, Field::Url).unwrap_or_default()
            }
            _ => wanted.name.clone(),
        };
        root.then(Step::Item { key: member.clone(), is })
    }
}

/// A rendering in the making.
struct Writer<'a> {
    client: &'a Client,
    wanted: &'a Wanted,
    kept: &'a Kept,
    out: Rendered,
}

impl Writer<'_> {
    fn fields(&mut self) {
        let mut launched = match &self.wanted.launch {
            Launch::Stdio { command, args, env, cwd } => self.local(command, args, env, cwd.as_ref()),
            Launch::Http { url, headers } | Launch::Sse { url, headers } => self.remote(url, headers),
        };
        for leaf in &self.kept.shape.leaves {
            let value = match &leaf.slot {
                Slot::Fixed(value) => Some(value.clone()),
                Slot::Token(token) => launched.take(*token).or_else(|| leaf.always.then(|| token.nothing())),
            };
            if let Some(value) = value {
                if !matches!(leaf.slot, Slot::Token(token) if token.is_launch())
                    || crate::base::is_hollow(&value)
                {
                    self.out.made.push(leaf.at.clone());
                }
                self.out.fields.insert(leaf.at.clone(), value);
            }
        }
        self.drop_empty_groups();
        self.out.fields.extend(launched.special);
    }

    /// What an entry in the same container could say about the launch, and this one does not.
    fn empty(&mut self) {
        let all = [&self.client.stdio, &self.client.http, &self.client.sse].into_iter().flatten();
        let here = all.filter(|kept| kept.elsewhere == self.kept.elsewhere);
        let leaves = here.flat_map(|kept| &kept.shape.leaves);
        let launch = leaves.filter(|leaf| matches!(leaf.slot, Slot::Token(token) if token.is_launch()));
        let rules = self.client.row().variables.as_ref();
        let special = rules.map(|rules| [&rules.pass_names, &rules.header_names, &rules.bearer_name]);
        let places = launch.map(|leaf| &leaf.at).chain(special.into_iter().flatten().flatten());
        for at in places {
            let is_said = self.out.fields.keys().any(|field| field.is_within(at) || at.is_within(field));
            if !is_said && !self.out.empty.contains(at) {
                self.out.empty.push(at.clone());
            }
        }
    }

    fn local(
        &mut self,
        command: &Text,
        args: &[Text],
        env: &[(String, Text)],
        cwd: Option<&Text>,
    ) -> Launched {
        let mut launched = self.launched();
        if let Some(cwd) = cwd {
            self.needs(&[Token::Cwd], "no-cwd", "starts programs in a directory of its own choice");
            launched.put(Token::Cwd, self.text(cwd, Field::Cwd, || "`cwd`".to_owned()).into());
        }
        if !args.is_empty() {
            self.needs(&[Token::Args, Token::Argv], "no-args", "passes no arguments");
        }
        let variables = self.client.row().variables.as_ref();
        let mut passed = Vec::new();
        let mut given = Map::new();
        for (name, text) in env {
            if text.reference() == Some(name) && variables.is_some_and(|rules| rules.pass_names.is_some()) {
                passed.push(Value::from(name.as_str()));
            } else {
                let value = self.text(text, Field::Env, || format!("the variable `{name}`"));
                given.insert(name.clone(), value.into());
            }
        }
        if !given.is_empty() {
            self.needs(&[Token::Env], "no-env", "passes no variables");
            launched.put(Token::Env, given.into());
        }
        if let Some(at) = variables.and_then(|rules| rules.pass_names.as_ref()).filter(|_| !passed.is_empty())
        {
            launched.special.push((at.clone(), passed.into()));
        }
        let command = self.text(command, Field::Command, || "the command".to_owned());
        let args: Vec<String> = args
            .iter()
            .enumerate()
            .map(|(at, arg)| self.text(arg, Field::Args, || format!("argument {}", at + 1)))
            .collect();
        if self.client.row().shell {
            self.refuse_shell_text(&command, &args);
        }
        if !args.is_empty() {
            launched.put(Token::Args, args.clone().into());
        }
        launched.put(Token::Argv, [vec![command.clone()], args].concat().into());
        launched.put(Token::Command, command.into());
        launched
    }

    fn remote(&mut self, url: &Text, headers: &[(String, Text)]) -> Launched {
        let mut launched = self.launched();
        let url = self.text(url, Field::Url, || "the address".to_owned());
        launched.put(Token::Url, url.into());
        let none = Default::default();
        let rules = self.client.row().variables.as_ref().unwrap_or(&none);
        let takes_bearer = self.kept.shape.leaf(Token::Bearer).is_some();
        let mut given = Map::new();
        let mut named = Map::new();
        for (name, text) in headers {
            let bearer = text.after("Bearer ").filter(|_| name.eq_ignore_ascii_case("authorization"));
            let variable = bearer.as_ref().and_then(Text::reference);
            let what = || format!("the header `{name}`");
            match (bearer.as_ref(), variable, &rules.bearer_name, text.reference(), &rules.header_names) {
                (_, Some(variable), Some(at), ..) => {
                    launched.special.push((at.clone(), variable.into()));
                }
                (.., Some(variable), Some(_)) => {
                    named.insert(name.clone(), variable.into());
                }
                (Some(bearer), ..) if takes_bearer => {
                    launched.put(Token::Bearer, self.text(bearer, Field::Headers, what).into());
                }
                _ => {
                    let value = self.text(text, Field::Headers, what);
                    given.insert(name.clone(), value.into());
                }
            }
        }
        if !given.is_empty() {
            let what = if takes_bearer { "sends no header but a bearer token" } else { "sends no headers" };
            self.needs(&[Token::Headers], "no-headers", what);
            launched.put(Token::Headers, given.into());
        }
        if let Some(at) = rules.header_names.as_ref().filter(|_| !named.is_empty()) {
            launched.special.push((at.clone(), named.into()));
        }
        launched
    }

    fn launched(&self) -> Launched {
        let mut launched = Launched::default();
        launched.put(Token::Name, self.wanted.name.as_str().into());
        if let Some(description) = &self.wanted.description {
            launched.put(Token::Description, description.as_str().into());
        }
        launched
    }

    /// The text in the client's syntax; a problem and nothing if there is no such thing.
    fn text(&mut self, text: &Text, field: Field, what: impl Fn() -> String) -> String {
        if self.is_overridden(field) {
            return String::new();
        }
        let client = self.client.name();
        let server = &self.wanted.name;
        let (severe, code, why) = match self.client.dialect.write(text, field) {
            Ok(text) => return text,
            Err(Refusal::NoVariable(name)) => {
                let why = format!("refers to the variable {name}, which {client} does not fill in there");
                (true, "no-variable", why)
            }
            Err(Refusal::Secret(name)) => {
                (true, "needs-secret", format!("needs the secret `{name}`, which only a launch can look up"))
            }
            Err(Refusal::Expands) => {
                (true, "literal-expands", format!("holds text that {client} would replace"))
            }
            Err(Refusal::MayExpand) => {
                let why = format!("is replaced by {client} if a variable of that name is set");
                (false, "literal-expands", why)
            }
        };
        let message = format!("{} of `{server}` {why}", what());
        let problem = Diagnostic::error(code, message).hint(USE_EXEC);
        if severe {
            self.out.problems.push(problem);
            return String::new();
        }
        self.out.problems.push(Diagnostic { severity: crate::base::Severity::Warning, ..problem });
        text.literal().unwrap_or_default().to_owned()
    }

    /// A problem unless the template has one of these tokens.
    fn needs(&mut self, tokens: &[Token], code: &'static str, what: &str) {
        if tokens.iter().any(|token| self.kept.shape.leaf(*token).is_some()) {
            return;
        }
        let message = format!("{} {what}, but `{}` needs it", self.client.name(), self.wanted.name);
        self.out.problems.push(Diagnostic::error(code, message).hint(USE_EXEC));
    }

    fn refuse_shell_text(&mut self, command: &str, args: &[String]) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-\\".contains(c);
        let mut texts = std::iter::once(command).chain(args.iter().map(String::as_str));
        if texts.all(|text| !text.is_empty() && text.chars().all(is_plain)) {
            return;
        }
        let message = format!(
            "{} puts the command of `{}` into one line for a shell, where a space or a quote changes its meaning",
            self.client.name(),
            self.wanted.name,
        );
        self.out.problems.push(Diagnostic::error("shell-argument", message).hint(USE_EXEC));
    }

    /// Constants beside tokens that stayed empty have no business alone (`auth: {type: static}`).
    fn drop_empty_groups(&mut self) {
        let is_token = |leaf: &&Leaf| matches!(leaf.slot, Slot::Token(_));
        for leaf in self.kept.shape.leaves.iter().filter(|leaf| leaf.at.0.len() > 1 && !is_token(leaf)) {
            let mut tokens =
                self.kept.shape.leaves.iter().filter(|other| other.top == leaf.top).filter(is_token);
            let written = |other: &Leaf| self.out.fields.contains_key(&other.at);
            if tokens.clone().next().is_some() && !tokens.any(written) {
                self.out.fields.shift_remove(&leaf.at);
            }
        }
    }

    fn switch(&mut self) {
        let name = &self.wanted.name;
        let (at, value, in_entry) = match &self.kept.switch {
            None => return,
            Some(Switch::Field(at, off)) => (at.clone(), off.clone(), true),
            Some(Switch::List(list)) => (list.then(Step::Element(name.clone())), name.as_str().into(), false),
            Some(Switch::Set(at, off)) => (at.fill(name, ""), off.clone(), false),
        };
        match (self.wanted.enabled, in_entry) {
            (false, true) => {
                self.out.fields.insert(at, value);
            }
            (false, false) => self.out.sides.push(Side { at, value }),
            // A template that says `disabled: false` contradicts by itself.
            (true, true) if self.kept.shape.fixed(&at).is_some() => {}
            (true, true) => self.out.against.push(Side { at: self.out.entry.join(&at), value }),
            (true, false) => self.out.against.push(Side { at, value }),
        }
    }

    fn filter(&mut self) {
        let filters = &self.kept.filters;
        let Filter { allow, deny } = match self.wanted.tools.fit(filters) {
            Ok(filter) => filter,
            Err(why) => return self.out.problems.push(self.unfiltered(why)),
        };
        if let (Some(spot), false) = (&filters.allow, allow.is_empty()) {
            self.tools(spot, allow);
        }
        if deny.is_empty() {
            return;
        }
        if let Some(spot) = &filters.deny {
            return self.tools(spot, deny);
        }
        let Some(member) = &filters.deny_member else { return };
        let side = |tool: &String| Side { at: member.fill(&self.wanted.name, tool), value: false.into() };
        self.out.sides.extend(deny.iter().map(side));
    }

    fn tools(&mut self, spot: &Spot, tools: Vec<String>) {
        match spot {
            Spot::Entry(at) => {
                self.out.fields.insert(at.clone(), tools.into());
            }
            Spot::File(at) => {
                self.out.sides.push(Side { at: at.fill(&self.wanted.name, ""), value: tools.into() });
            }
        }
    }

    fn unfiltered(&self, why: Unfiltered) -> Diagnostic {
        let client = self.client.name();
        let server = &self.wanted.name;
        let hint = "set `delivery: exec` or `delivery: gateway` for this client";
        match why {
            Unfiltered::NoPlace => {
                let message = format!("{client} cannot hide the tools of `{server}` as asked");
                Diagnostic::error("no-tool-filter", message).hint(hint)
            }
            Unfiltered::Pattern => {
                let message =
                    format!("{client} knows tools by their exact names, but `{server}` has patterns");
                Diagnostic::error("tool-pattern", message).hint(hint)
            }
            Unfiltered::Nothing => {
                let message = format!("the filter of `{server}` leaves no tool, which {client} cannot say");
                Diagnostic::error("no-tool-filter", message).hint("switch the server off instead")
            }
        }
    }

    fn extra(&mut self) {
        for (at, value) in self.extra_fields() {
            self.out.fields.retain(|field, _| !field.is_within(&at) || *field == at);
            self.out.fields.insert(at, value);
        }
    }

    /// Extra fields; a map that shares its key with the row's own fields is taken member by member.
    fn extra_fields(&self) -> Vec<(Pointer, Value)> {
        let mut fields = Vec::new();
        for (key, value) in &self.wanted.extra {
            let at = Pointer::of([key]);
            let is_shared = self.own_places().any(|own| own.0.len() > 1 && own.is_within(&at));
            match value {
                Value::Object(_) if is_shared => {
                    let members = members(Some(value.clone())).into_iter();
                    fields.extend(members.map(|(key, value)| (at.key(&key), value)));
                }
                value => fields.push((at, value.clone())),
            }
        }
        fields
    }

    fn own_places(&self) -> impl Iterator<Item = &Pointer> {
        let leaves = self.kept.shape.leaves.iter().map(|leaf| &leaf.at);
        let switch = match &self.kept.switch {
            Some(Switch::Field(at, _)) => Some(at),
            _ => None,
        };
        let filters = &self.kept.filters;
        let lists = [&filters.allow, &filters.deny].into_iter().filter_map(|spot| match spot {
            Some(Spot::Entry(at)) => Some(at),
            _ => None,
        });
        leaves.chain(switch).chain(lists)
    }

    /// Whether extra fields take the place of everything that texts of this kind would go into.
    fn is_overridden(&self, field: Field) -> bool {
        if self.wanted.extra.is_empty() {
            return false;
        }
        let tokens: &[Token] = match field {
            Field::Command => &[Token::Command, Token::Argv],
            Field::Args => &[Token::Args, Token::Argv],
            Field::Env => &[Token::Env],
            Field::Cwd => &[Token::Cwd],
            Field::Url => &[Token::Url],
            Field::Headers => &[Token::Headers],
        };
        let extra = self.extra_fields();
        let mut leaves = tokens.iter().filter_map(|token| self.kept.shape.leaf(*token)).peekable();
        leaves.peek().is_some() && leaves.all(|leaf| extra.iter().any(|(at, _)| leaf.at.is_within(at)))
    }
}

/// The values of the tokens, and those of places that the dialect names.
#[derive(Default)]
struct Launched {
    values: Vec<(Token, Value)>,
    special: Vec<(Pointer, Value)>,
}

impl Launched {
    fn put(&mut self, token: Token, value: Value) {
        self.values.push((token, value));
    }

    fn take(&mut self, token: Token) -> Option<Value> {
        self.values.iter().find(|(other, _)| *other == token).map(|(_, value)| value.clone())
    }
}

impl Token {
    /// Whether it says how the server is started or reached.
    pub(super) fn is_launch(self) -> bool {
        !matches!(self, Self::Name | Self::Description)
    }

    /// What is written when there is nothing to write.
    fn nothing(self) -> Value {
        match self {
            Self::Args | Self::Argv => Value::Array(Vec::new()),
            Self::Env | Self::Headers => Value::Object(Map::new()),
            _ => Value::String(String::new()),
        }
    }
}
