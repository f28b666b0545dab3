//! Texts that somebody drew at random.

/// Whether a text looks drawn at random: capitals, small letters and digits mixed all the way through,
/// with no words in it.
pub(super) fn is_drawn(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'/');
    if text.len() < 20 || !text.bytes().all(alphabet) {
        return false;
    }
    let count = |test: fn(&u8) -> bool| text.bytes().filter(test).count();
    let (upper, lower, digits) =
        (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit));
    // Slashes in base64 come once in 64 characters; in paths, once a word.
    let slashes = text.bytes().filter(|b| *b == b'/').count();
    upper >= 3
        && lower >= 3
        && digits >= 2
        && slashes * 16 <= text.len()
        && longest_run(text) <= 6
        && changes(text) * 100 >= text.len() * 38
        && entropy(text) >= 3.6
}

/// The most small letters in a row.
fn longest_run(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_lowercase()).map(str::len).max().unwrap_or(0)
}

/// How often a letter or digit is followed by one of another kind.
fn changes(text: &str) -> usize {
    let kind = |b: u8| match b {
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let pairs = text.as_bytes().windows(2).map(|pair| (kind(pair[0]), kind(pair[1])));
    pairs.filter(|(a, b)| *a != 0 && *b != 0 && a != b).count()
}

/// Shannon's, in bits per character.
fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    text.bytes().for_each(|b| counts[usize::from(b)] += 1);
    let all = text.len() as f64;
    let share = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
    -share.map(|share| share * share.log2()).sum::<f64>()
}
