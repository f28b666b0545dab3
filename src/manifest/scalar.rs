//! What a plain word means: the core rules of YAML 1.2.
//!
//! Invariant: `no`, `on`, `1_000`, `12:30` and dates are texts; only what the core schema calls a
//! number or truth value is one.

use serde_json::{Number, Value};

/// How the type of a scalar is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// Quoted, a block, or tagged `!!str`.
    Text,
    /// Plain: by the look of it.
    ByLook,
}

/// The value of a scalar.
pub fn value(text: &str, typing: Typing) -> Value {
    if typing == Typing::Text {
        return Value::from(text);
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).map_or_else(|| Value::from(text), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Number::from);
    if let Some(digits) = text.strip_prefix("0x") {
        return digits.chars().all(|c| c.is_ascii_hexdigit()).then(|| radix(digits, 16))?;
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return digits.chars().all(|c| c.is_digit(8)).then(|| radix(digits, 8))?;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !is_decimal(unsigned) {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Some(whole.into());
        }
    }
    Number::from_f64(text.parse().ok()?)
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, then an exponent perhaps.
fn is_decimal(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix('.') {
        fraction = digits(after);
        rest = &after[fraction..];
    }
    if whole + fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn follows_the_core_rules() {
        for (text, meant) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("NO", json!("NO")),
            ("12", json!(12)),
            ("-0", json!(0)),
            ("+7", json!(7)),
            ("007", json!(7)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0x", json!("0x")),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("1_000", json!("1_000")),
            ("12:30", json!("12:30")),
            ("2025.4.8", json!("2025.4.8")),
            (".inf", json!(".inf")),
            ("18446744073709551615", json!(u64::MAX)),
            ("1e999", json!("1e999")),
        ] {
            assert_eq!(value(text, Typing::ByLook), meant, "{text}");
        }
        assert_eq!(value("12", Typing::Text), json!("12"));
    }
}
