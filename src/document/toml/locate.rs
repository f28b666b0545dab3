//! From a pointer to the expressions that make up the value there.
//!
//! Invariant: changes nothing.

use super::scan::{Expr, Kind, Seg, expressions};
use super::{Node, Pointer, Slip, Step, Toml};
use crate::document::tree::wrong_kind;

/// Where a pointer leads.
#[derive(Debug)]
pub(super) enum Spot {
    /// Into the value of this pair, which stands for the first `depth` steps.
    Inside { expr: usize, depth: usize },
    /// A table, or an element of an array of tables, made of expressions.
    Table(Vec<Seg>),
    /// The first `depth` steps lead to this table (or array of tables), which lacks the next one.
    Missing { path: Vec<Seg>, depth: usize },
    /// The step at `depth` does not fit what is there.
    Misfit { path: Vec<Seg>, depth: usize },
}

pub(super) fn locate(text: &str, exprs: &[Expr], at: &Pointer) -> Result<Spot, Slip> {
    let mut path: Vec<Seg> = Vec::new();
    for (depth, step) in at.0.iter().enumerate() {
        let here = path.clone();
        match step {
            Step::Key(_) if is_list(exprs, &path) => return Ok(Spot::Misfit { path, depth }),
            Step::Key(key) => {
                path.push(Seg::Key(key.clone()));
                if let Some(expr) = pair(exprs, &path) {
                    return Ok(Spot::Inside { expr, depth: depth + 1 });
                }
            }
            Step::Item { key, is } => {
                if !is_list(exprs, &path) {
                    return Ok(Spot::Misfit { path, depth });
                }
                let hits = elements(exprs, &path).filter(|element| {
                    let name: Vec<Seg> =
                        element.path.iter().cloned().chain([Seg::Key(key.clone())]).collect();
                    pair(exprs, &name).is_some_and(|found| reads(text, &exprs[found], is))
                });
                let hits: Vec<&Expr> = hits.take(2).collect();
                match hits.as_slice() {
                    [_, twin, ..] => {
                        let message = format!("the name `{is}` is given twice");
                        return Err(Slip::new(twin.span.start, message));
                    }
                    [element] => path.clone_from(&element.path),
                    [] => return Ok(Spot::Missing { path, depth }),
                }
            }
            Step::Element(_) => return Ok(Spot::Misfit { path, depth }),
        }
        if !exprs.iter().any(|expr| expr.path.starts_with(&path)) {
            return Ok(Spot::Missing { path: here, depth });
        }
    }
    Ok(Spot::Table(path))
}

/// Where the key or item at a pointer begins.
pub(super) fn place(text: &str, at: &Pointer) -> Option<usize> {
    let exprs = expressions(text);
    match locate(text, &exprs, at).ok()? {
        Spot::Table(path) => {
            let first = exprs.iter().position(|expr| expr.path == path);
            let first = first.or_else(|| exprs.iter().position(|expr| expr.path.starts_with(&path)));
            Some(first.map_or(0, |first| exprs[first].span.start))
        }
        Spot::Inside { expr, depth } if depth == at.0.len() => Some(exprs[expr].span.start),
        Spot::Inside { expr, depth } => {
            let value = exprs[expr].value.clone();
            let mut node = Node::new(&text[value.clone()], value.start);
            node.seek(Toml, &at.0[depth..]).ok()?.map(|(_, start)| start)
        }
        Spot::Missing { .. } | Spot::Misfit { .. } => None,
    }
}

pub(super) fn misfit(exprs: &[Expr], at: &Pointer, path: &[Seg], depth: usize) -> Slip {
    let first = exprs.iter().find(|expr| expr.path.starts_with(path));
    Slip::new(first.map_or(0, |first| first.span.start), wrong_kind(at, depth))
}

/// Whether the path is an array of tables.
pub(super) fn is_list(exprs: &[Expr], path: &[Seg]) -> bool {
    elements(exprs, path).next().is_some()
}

fn elements<'e>(exprs: &'e [Expr], path: &[Seg]) -> impl Iterator<Item = &'e Expr> {
    let path = path.to_vec();
    exprs.iter().filter(move |expr| {
        expr.kind == Kind::Element && expr.path.len() == path.len() + 1 && expr.path.starts_with(&path)
    })
}

fn pair(exprs: &[Expr], path: &[Seg]) -> Option<usize> {
    exprs.iter().position(|expr| expr.kind == Kind::Pair && expr.path == path)
}

fn reads(text: &str, pair: &Expr, is: &str) -> bool {
    use crate::document::tree::Dialect;
    Toml.read(&text[pair.value.clone()]).is_ok_and(|value| value.as_str() == Some(is))
}
