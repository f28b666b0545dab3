use super::args::Format;

/// Lines up cells in columns, two spaces apart. Columns that are empty everywhere are left out.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0)
    };
    let columns: Vec<(usize, usize)> = (0..header.len())
        .map(|column| (column, width(column)))
        .filter(|(_, width)| *width > 0)
        .map(|(column, width)| (column, width.max(header[column].chars().count())))
        .collect();
    let line = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = columns
            .iter()
            .map(|(column, width)| {
                let text = cell(*column);
                let fill = width.saturating_sub(text.chars().count());
                format!("{text}{}", " ".repeat(fill))
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines = Vec::new();
    if header.iter().any(|title| !title.is_empty()) {
        lines.push(line(&|column| header[column].to_owned()));
    }
    lines.extend(rows.iter().map(|row| line(&|column| row.get(column).cloned().unwrap_or_default())));
    lines
}

/// The same as a Markdown table.
pub fn markdown(header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let escape = |text: &String| text.replace('|', "\\|").replace('\n', " ");
    let mut lines =
        vec![format!("| {} |", header.join(" | ")), format!("|{}", " --- |".repeat(header.len()))];
    lines.extend(
        rows.iter().map(|row| format!("| {} |", row.iter().map(escape).collect::<Vec<_>>().join(" | "))),
    );
    lines
}

/// A table in a format for people.
pub fn of(format: Format, header: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    match format {
        Format::Markdown => markdown(header, rows),
        Format::Text | Format::Json => table(header, rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_up_and_leaves_out_empty_columns() {
        let rows =
            vec![vec!["a".into(), String::new(), "ü".into()], vec!["bbb".into(), String::new(), "c".into()]];
        assert_eq!(table(&["x", "y", "z"], &rows), ["x    z", "a    ü", "bbb  c"]);
    }
}
