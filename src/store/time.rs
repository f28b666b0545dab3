use std::time::{Duration, SystemTime};

/// A time as `2026-11-21T01:02:03Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = parts(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A time as `2026-11-21T01:02:03.456Z`.
pub fn rfc3339_millis(time: SystemTime) -> String {
    let millis = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_millis();
    let whole = rfc3339(time);
    format!("{}.{millis:03}Z", whole.trim_end_matches('Z'))
}

/// The time that [`rfc3339`] wrote, or [`rfc3339_millis`].
pub fn from_rfc3339(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let millis = match text.len() {
        20 => 0,
        24 if text.get(19..20) == Some(".") => number(20..23)?,
        _ => return None,
    };
    if !text.ends_with('Z') {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    if !(1..=12).contains(&month) || year < 1970 {
        return None;
    }
    // Days from civil, H. Hinnant, "chrono-compatible low-level date algorithms".
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = (year % 400) * 365 + (year % 400) / 4 - (year % 400) / 100 + day_of_year;
    let days = (year / 400 * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis((days * 86_400 + seconds) * 1000 + millis))
}

/// A name for what happened then: `20261121T010203Z-4f2a`, the last part being the fraction of the
/// second in 65536ths.
pub(super) fn id(time: SystemTime) -> String {
    let [year, month, day, hour, minute, second] = parts(time);
    let nanos = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let fraction = u64::from(nanos) * 65_536 / 1_000_000_000;
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z-{fraction:04x}")
}

/// The next name after this one (whatever follows the name proper), within its second; none at the
/// second's end.
pub(super) fn id_after(id: &str) -> Option<String> {
    let (second, fraction) = id.split_once('-')?;
    let next = u16::from_str_radix(fraction.get(..4)?, 16).ok()?.checked_add(1)?;
    Some(format!("{second}-{next:04x}"))
}

fn parts(time: SystemTime) -> [u64; 6] {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    // Civil from days, from the same source.
    let days = seconds / 86_400 + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + days / 146_097 * 400 + u64::from(month <= 2);
    let second = seconds % 86_400;
    [year, month, day, second / 3600, second / 60 % 60, second % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_772_323_199, "2026-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(time), text);
            assert_eq!(from_rfc3339(text), Some(time));
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(951_827_696_042);
        assert_eq!(rfc3339_millis(time), "2000-02-29T12:34:56.042Z");
        assert_eq!(from_rfc3339("2000-02-29T12:34:56.042Z"), Some(time));
        assert_eq!(from_rfc3339("2026-13-01T00:00:00Z"), None);
        assert_eq!(from_rfc3339("soon"), None);
    }

    #[test]
    fn names_sort_by_time() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_323_199_500);
        assert_eq!(id(time), "20260228T235959Z-8000");
        assert_eq!(id_after("20260228T235959Z-8000").as_deref(), Some("20260228T235959Z-8001"));
        assert_eq!(id_after("20260228T235959Z-ffff"), None);
    }
}
