//! Which tools the model may see, and whether a client can be told so.

use super::shape::Filters;
use crate::base::Glob;

/// Which tools of a server the model may see. Patterns may hold `*` and `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these; empty: all.
    pub allow: Vec<String>,
    /// Not these, even when allowed.
    pub deny: Vec<String>,
}

/// Why a client cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfiltered {
    /// It has no place for such a list.
    NoPlace,
    /// It knows exact names only.
    Pattern,
    /// Nothing would be left, and an empty list means all.
    Nothing,
}

impl Filter {
    /// Whether every tool may be seen.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// The same filter in a form that has a place in the client's file.
    pub(super) fn fit(&self, places: &Filters) -> Result<Filter, Unfiltered> {
        let can_allow = places.allow.is_some();
        let can_deny = places.deny.is_some() || places.deny_member.is_some();
        let usable = |names: &[String], place: bool| {
            names.is_empty() || place && (places.patterns || are_literal(names))
        };
        let can_say_none = places.patterns && can_deny;
        if self.deny.iter().any(|pattern| pattern == "*") && !can_say_none {
            return Err(Unfiltered::Nothing);
        }
        if usable(&self.allow, can_allow) && usable(&self.deny, can_deny) {
            return Ok(self.clone());
        }
        if can_allow && !self.allow.is_empty() && are_literal(&self.allow) {
            // What is allowed by name can be told without the denials.
            let denied: Vec<Glob> = self.deny.iter().map(|pattern| Glob::new(pattern)).collect();
            let left = self.allow.iter().filter(|tool| !denied.iter().any(|glob| glob.matches(tool)));
            let left = Filter { allow: left.cloned().collect(), deny: Vec::new() };
            return if left.is_empty() { Err(Unfiltered::Nothing) } else { Ok(left) };
        }
        let has_places = (self.allow.is_empty() || can_allow) && (self.deny.is_empty() || can_deny);
        Err(if has_places { Unfiltered::Pattern } else { Unfiltered::NoPlace })
    }
}

fn are_literal(names: &[String]) -> bool {
    names.iter().all(|name| Glob::new(name).is_literal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::spec::Tools;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn fits_a_filter_to_what_a_client_can_say() {
        for (allow, deny, can, outcome) in [
            ("", "", "", Ok(("", ""))),
            ("a b", "", "allow", Ok(("a b", ""))),
            ("a b", "b", "allow", Ok(("a", ""))),
            ("a b", "*", "allow", Err(Unfiltered::Nothing)),
            ("a b", "b_*", "allow deny", Ok(("a b", ""))),
            ("a", "b", "allow deny", Ok(("a", "b"))),
            ("", "b_*", "deny", Err(Unfiltered::Pattern)),
            ("", "b_*", "deny patterns", Ok(("", "b_*"))),
            ("", "b", "allow", Err(Unfiltered::NoPlace)),
            ("a", "", "deny", Err(Unfiltered::NoPlace)),
            ("a*", "", "allow", Err(Unfiltered::Pattern)),
        ] {
            let place = |word: &str| can.contains(word).then(|| crate::base::Pointer::of([word]));
            let tools = Tools {
                allow: place("allow"),
                deny: place("deny"),
                patterns: can.contains("patterns"),
                ..Tools::default()
            };
            let places = Filters::new("tools", &tools, &mut Vec::new());
            let fitted = Filter { allow: names(allow), deny: names(deny) }.fit(&places);
            let outcome = outcome.map(|(allow, deny)| Filter { allow: names(allow), deny: names(deny) });
            assert_eq!(fitted, outcome, "allow {allow:?} deny {deny:?} where {can:?}");
        }
    }
}
