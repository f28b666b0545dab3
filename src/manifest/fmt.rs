//! One layout for every manifest: two spaces, no trailing space, no double blank lines.
//!
//! Invariant: a formatted text has the same values, comments, anchors, quotes and order, confirmed by
//! reading it again; formatting it once more changes nothing. When that cannot be confirmed, the text
//! stays as it is and the caller hears why.
//!
//! Lines move, they are not rebuilt: [`layout`] finds how far each one moves, [`written`] moves it.

use granit_parser::{Event, Parser, ScalarStyle, Scanner, Span, StrInput, TokenType};

use super::tree;
use crate::base::{Diagnostic, Place};

/// The formatted text.
pub fn format(text: &str) -> Result<String, Box<Diagnostic>> {
    let (_, problems) = tree::read(text);
    if let Some(problem) = problems.into_iter().next() {
        let line = text.get(..problem.span.start).map_or(1, |before| before.matches('\n').count() + 1);
        let place = Place { line: line as u32, column: 1, ..Place::file("") };
        let message = format!("Cannot be formatted: {}", problem.message);
        return Err(Box::new(Diagnostic::error(problem.code, message).at(place)));
    }
    let risky = || {
        let message = "This file cannot be formatted without a risk to what it says.";
        let hint = "it is left as it is; nothing else is wrong with it";
        Box::new(Diagnostic::warning("not-formatted", message).hint(hint))
    };
    // The parser ends a line at a lone carriage return, and nobody else does.
    if text.replace("\r\n", "\n").contains('\r') {
        return Err(risky());
    }
    let formatted = once(text);
    if formatted == text {
        return Ok(formatted);
    }
    let same = events(text).is_some_and(|events| Some(events) == self::events(&formatted));
    if same && once(&formatted) == formatted {
        return Ok(formatted);
    }
    Err(risky())
}

fn once(text: &str) -> String {
    let (bom, body) = match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    };
    let end = if body.contains("\r\n") { "\r\n" } else { "\n" };
    let body = body.replace("\r\n", "\n");
    let lines: Vec<&str> = body.lines().collect();
    let plan = layout(&body, &lines);
    format!("{bom}{}", written(&lines, &plan, end))
}

/// What a parser makes of a text: everything but places.
fn events(text: &str) -> Option<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! { emit_anchor_events: true, max_buffered_comment_events: 100_000 };
    let mut all = Vec::new();
    let mut comments = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        match event.ok()?.0 {
            Event::Comment(text, _) => comments.push(text.trim_end().to_owned()),
            event => all.push(format!("{event:?}")),
        }
    }
    all.append(&mut comments);
    Some(all)
}

/// How a line moves.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Move {
    /// Blank, outside texts.
    Blank,
    /// To this column, with every `-` at its start followed by one space.
    To(usize),
    /// By so many columns; part of a text or of a list or map in brackets.
    By(isize),
    /// Exactly as it is: inside a quoted text.
    Keep,
    /// Inside a block text: by so many columns, trailing space kept.
    Block(isize),
    /// A comment on its own: where its neighbours go.
    Comment,
}

/// An open list or map in block style.
#[derive(Clone, Copy, Debug)]
struct Open {
    old: usize,
    new: usize,
    is_list: bool,
    /// A list whose dashes stand under the key: the parser does not open it by itself.
    is_flush: bool,
}

struct Plan {
    moves: Vec<Move>,
    /// For each line with structure, the open blocks after it: old and new columns, outermost first.
    blocks: Vec<Vec<(usize, usize)>>,
}

fn layout(body: &str, lines: &[&str]) -> Plan {
    let mut plan = Plan {
        moves: lines.iter().map(|line| first_guess(line)).collect(),
        blocks: vec![Vec::new(); lines.len()],
    };
    let mut open: Vec<Open> = Vec::new();
    let mut flow = 0_usize;
    // The last line with structure, the new column of what follows its last dash, and how far it moves.
    let (mut line, mut after_dash, mut shift) = (usize::MAX, None, 0_isize);
    let mut last = 0;
    for token in Scanner::new(StrInput::new(body)).map_while(Result::ok) {
        let (span, kind) = token.into_parts();
        let (at, mut old) = (span.start.line().saturating_sub(1), span.start.col());
        let before = std::mem::replace(&mut last, at);
        if let TokenType::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, _) = kind {
            plan.block_text(lines, before, &span, open.last());
            continue;
        }
        if at >= lines.len() || matches!(kind, TokenType::StreamStart | TokenType::StreamEnd) {
            continue;
        }
        if kind == TokenType::BlockEntry {
            // The parser names the place behind the dash.
            let dash = lines[at].char_indices().take(old).filter(|(_, c)| *c == '-').last();
            old = dash.map_or(old, |(dash, _)| lines[at][..dash].chars().count());
        }
        let is_first = lines[at].chars().take(old).all(|c| c == ' ' || c == '\t');
        if line != at {
            after_dash = None;
        }
        match &kind {
            TokenType::BlockSequenceStart | TokenType::BlockMappingStart => {
                let new = match open.last() {
                    _ if after_dash.is_some() => after_dash.unwrap_or_default(),
                    None => 0,
                    Some(parent) => parent.new + 2,
                };
                let is_list = matches!(kind, TokenType::BlockSequenceStart);
                open.push(Open { old, new, is_list, is_flush: false });
                continue;
            }
            TokenType::BlockEnd => {
                close_flush(&mut open);
                open.pop();
                continue;
            }
            TokenType::Key if flow == 0 => close_flush(&mut open),
            TokenType::BlockEntry if flow == 0 && open.last().is_none_or(|top| !top.is_list) => {
                let new = open.last().map_or(0, |parent| parent.new + 2);
                open.push(Open { old, new, is_list: true, is_flush: true });
            }
            _ => {}
        }
        let column = match (&kind, open.last()) {
            (TokenType::DocumentStart | TokenType::DocumentEnd, _) | (_, None) => 0,
            (TokenType::BlockEntry | TokenType::Key, Some(top)) => top.new,
            // A value on a line of its own.
            (_, Some(top)) => top.new + 2,
        };
        if flow == 0 && is_first && !matches!(kind, TokenType::Comment(_) | TokenType::Value) {
            let is_structure =
                matches!(kind, TokenType::BlockEntry | TokenType::Key) || plan.moves[at] == Move::Comment;
            if is_structure || line != at {
                plan.moves[at] = Move::To(column);
                plan.blocks[at] = open.iter().map(|open| (open.old, open.new)).collect();
                line = at;
                shift = column as isize - old as isize;
            }
        }
        if matches!(kind, TokenType::BlockEntry) && flow == 0 {
            line = at;
            after_dash = open.last().map(|top| top.new + 2);
        }
        match kind {
            TokenType::FlowSequenceStart | TokenType::FlowMappingStart => flow += 1,
            TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd => flow = flow.saturating_sub(1),
            _ => {}
        }
        if flow > 0 || matches!(kind, TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd) {
            plan.brackets(at, shift, is_first);
        }
        if let TokenType::Scalar(style, _) = kind {
            plan.text(lines, at, span.end.line().saturating_sub(1), style, shift);
        }
    }
    plan
}

fn close_flush(open: &mut Vec<Open>) {
    if open.last().is_some_and(|top| top.is_flush) {
        open.pop();
    }
}

fn first_guess(line: &str) -> Move {
    match line.trim_start().chars().next() {
        None => Move::Blank,
        _ => Move::Comment,
    }
}

impl Plan {
    /// A line inside brackets moves with the line that opened them.
    fn brackets(&mut self, at: usize, shift: isize, is_first: bool) {
        if is_first && self.moves[at] == Move::Comment {
            self.moves[at] = Move::By(shift);
        }
    }

    /// The lines of a text after its first move with it; blank ones are line breaks in it.
    fn text(&mut self, lines: &[&str], from: usize, to: usize, style: ScalarStyle, shift: isize) {
        let inner = self.moves.iter_mut().zip(lines).take(to + 1).skip(from + 1);
        for (move_, line) in inner {
            *move_ = match style {
                _ if line.trim().is_empty() => Move::Keep,
                ScalarStyle::Plain => Move::By(shift),
                _ => Move::Block(shift),
            };
        }
    }

    /// The lines of a `|` or `>` text: two columns further than their block, unless its header says
    /// how far.
    fn block_text(&mut self, lines: &[&str], header: usize, span: &Span, top: Option<&Open>) {
        let end = span.end.line().saturating_sub(1);
        let ends_inside =
            lines.get(end).is_some_and(|line| !line.chars().take(span.end.col()).all(|c| c == ' '));
        let last = (end + usize::from(ends_inside)).min(lines.len());
        let indicator = lines[header].rsplit(['|', '>']).next().unwrap_or_default();
        let indicator = indicator.split(" #").next().unwrap_or_default();
        let is_kept = indicator.contains('+');
        let content = (header + 1..last).find(|at| !lines[*at].trim().is_empty());
        let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let (old, new) = top.map_or((0, 0), |top| (top.old, top.new));
        let shift = match content {
            Some(at) if !indicator.contains(|c: char| c.is_ascii_digit()) => {
                (new + 2) as isize - indent(lines[at]) as isize
            }
            _ => new as isize - old as isize,
        };
        let filled = (header + 1..last).rev().find(|at| !lines[*at].trim().is_empty());
        for at in header + 1..last {
            let is_tail = filled.is_none_or(|filled| at > filled);
            if !is_tail || is_kept {
                self.moves[at] = Move::Block(shift);
            }
        }
    }
}

fn written(lines: &[&str], plan: &Plan, end: &str) -> String {
    let mut out: Vec<String> = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let moved = match &plan.moves[at] {
            Move::Blank => {
                if out.last().is_none_or(String::is_empty) && !is_text(plan, at.wrapping_sub(1)) {
                    continue;
                }
                String::new()
            }
            Move::Keep => (*line).to_owned(),
            Move::To(column) => one_space_dashes(line, *column),
            Move::By(shift) => moved(line, *shift).trim_end().to_owned(),
            Move::Block(shift) => moved(line, *shift),
            Move::Comment => {
                let column = comment_column(lines, plan, at);
                format!("{:column$}{}", "", line.trim())
            }
        };
        out.push(moved);
    }
    let is_open_text = matches!(plan.moves.last(), Some(Move::Block(_) | Move::Keep));
    while !is_open_text && out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    let mut text = out.join(end);
    if !text.is_empty() {
        text.push_str(end);
    }
    text
}

fn is_text(plan: &Plan, at: usize) -> bool {
    matches!(plan.moves.get(at), Some(Move::Block(_) | Move::Keep))
}

/// A line so many columns further right or left; a line of spaces may get shorter, not other text.
fn moved(line: &str, shift: isize) -> String {
    let rest = line.trim_start_matches(' ');
    let indent = (line.len() - rest.len()) as isize + shift;
    if rest.is_empty() && indent <= 0 {
        return String::new();
    }
    format!("{:width$}{rest}", "", width = indent.max(0) as usize)
}

/// The line at a column, each dash at its start followed by one space.
fn one_space_dashes(line: &str, column: usize) -> String {
    let mut out = " ".repeat(column);
    let mut rest = line.trim();
    while let Some(after) = rest.strip_prefix("- ") {
        out.push_str("- ");
        rest = after.trim_start();
    }
    out.push_str(rest);
    out.trim_end().to_owned()
}

/// Where a comment on a line of its own goes: with the block whose column it stands at, else with the
/// line that follows, or with the one before when it stands deeper than that.
fn comment_column(lines: &[&str], plan: &Plan, at: usize) -> usize {
    let old = lines[at].len() - lines[at].trim_start().len();
    let indent = |at: usize| lines[at].len() - lines[at].trim_start().len();
    let structure = |at: &usize| matches!(plan.moves[*at], Move::To(_));
    let column = |at: usize| match plan.moves[at] {
        Move::To(column) => column,
        _ => 0,
    };
    let next = (at + 1..lines.len()).find(structure);
    let previous = (0..at).rev().find(structure);
    if let Some(next) = next.filter(|next| indent(*next) == old) {
        return column(next);
    }
    if let Some(previous) = previous {
        let block = plan.blocks[previous].iter().rev().find(|(column, _)| *column == old);
        if let Some((_, new)) = block {
            return *new;
        }
        if next.is_none_or(|next| old > indent(next)) && old >= indent(previous) {
            let deeper = if old > indent(previous) && next.is_some_and(|next| indent(next) > indent(previous))
            {
                2
            } else {
                0
            };
            return column(previous) + deeper;
        }
    }
    next.map_or(0, column)
}
