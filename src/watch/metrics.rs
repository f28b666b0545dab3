use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::store::{Conditions, Stand};

/// Upper ends of the classes of durations, in seconds.
const CLASSES: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// What was counted since the process began.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Passes by how they ended.
    passes: BTreeMap<&'static str, u64>,
    /// Passes by how long they took, one class after the other.
    classes: [u64; CLASSES.len()],
    seconds: f64,
    /// Entries that were put right, by client block.
    repaired: BTreeMap<String, u64>,
    /// Entries that were written for any other reason, by client block.
    written: BTreeMap<String, u64>,
    /// Fetches by how they ended.
    fetches: BTreeMap<&'static str, u64>,
    /// File events, those that did not matter among them.
    pub noticed: u64,
    /// Whether files are looked at again and again, since they cannot be watched.
    pub is_polling: bool,
}

impl Metrics {
    /// A pass is over: `unchanged`, `applied` or `failed`.
    pub fn pass(&mut self, outcome: &'static str, took: Duration) {
        *self.passes.entry(outcome).or_default() += 1;
        let seconds = took.as_secs_f64();
        self.seconds += seconds;
        if let Some(class) = CLASSES.iter().position(|end| seconds <= *end) {
            self.classes[class] += 1;
        }
    }

    /// Entries of a client block were written.
    pub fn wrote(&mut self, client: &str, is_repair: bool) {
        let counts = if is_repair { &mut self.repaired } else { &mut self.written };
        *counts.entry(client.to_owned()).or_default() += 1;
    }

    /// A fetch is over: `new`, `unchanged` or `failed`.
    pub fn fetched(&mut self, outcome: &'static str) {
        *self.fetches.entry(outcome).or_default() += 1;
    }

    /// In the text format of Prometheus (version 0.0.4).
    pub fn text(&self, conditions: &Conditions) -> String {
        let mut text = String::new();
        let mut out = Exposition(&mut text);
        out.head("mcpkeel_build_info", "gauge", "The version of mcpkeel.");
        out.line("mcpkeel_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        out.head("mcpkeel_reconcile_total", "counter", "Passes, by how they ended.");
        for (outcome, count) in &self.passes {
            out.line("mcpkeel_reconcile_total", &[("outcome", outcome)], count);
        }
        out.head("mcpkeel_reconcile_duration_seconds", "histogram", "How long passes took.");
        let mut below = 0;
        for (end, count) in CLASSES.iter().zip(self.classes) {
            below += count;
            out.line("mcpkeel_reconcile_duration_seconds_bucket", &[("le", &end.to_string())], below);
        }
        let all: u64 = self.passes.values().sum();
        out.line("mcpkeel_reconcile_duration_seconds_bucket", &[("le", "+Inf")], all);
        out.line("mcpkeel_reconcile_duration_seconds_sum", &[], self.seconds);
        out.line("mcpkeel_reconcile_duration_seconds_count", &[], all);
        out.head(
            "mcpkeel_drift_repaired_total",
            "counter",
            "Entries put right after somebody else changed them.",
        );
        for (client, count) in &self.repaired {
            out.line("mcpkeel_drift_repaired_total", &[("client", client)], count);
        }
        out.head("mcpkeel_entries_written_total", "counter", "Entries written since the manifest changed.");
        for (client, count) in &self.written {
            out.line("mcpkeel_entries_written_total", &[("client", client)], count);
        }
        out.head(
            "mcpkeel_fetch_total",
            "counter",
            "Fetches of the manifest's repository, by how they ended.",
        );
        for (outcome, count) in &self.fetches {
            out.line("mcpkeel_fetch_total", &[("outcome", outcome)], count);
        }
        out.head(
            "mcpkeel_file_events_total",
            "counter",
            "File events, those that did not matter among them.",
        );
        out.line("mcpkeel_file_events_total", &[], self.noticed);
        out.head("mcpkeel_polling", "gauge", "1 while files cannot be watched and are polled instead.");
        out.line("mcpkeel_polling", &[], u8::from(self.is_polling));
        out.head("mcpkeel_condition", "gauge", "1 for the condition that a client block is in.");
        for (client, condition) in &conditions.clients {
            for stand in [Stand::Ready, Stand::Reconciling, Stand::Stalled, Stand::Contended] {
                let is_it = u8::from(condition.condition == stand);
                out.line("mcpkeel_condition", &[("client", client), ("condition", stand.word())], is_it);
            }
        }
        out.head("mcpkeel_manifest_ready", "gauge", "1 while the manifest can be had and read.");
        let is_ready =
            conditions.manifest.as_ref().is_some_and(|manifest| manifest.condition == Stand::Ready);
        out.line("mcpkeel_manifest_ready", &[], u8::from(is_ready));
        text
    }
}

struct Exposition<'t>(&'t mut String);

impl Exposition<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_the_text_format() {
        let mut metrics = Metrics::default();
        metrics.pass("applied", Duration::from_millis(4));
        metrics.pass("unchanged", Duration::from_secs(2));
        metrics.wrote("my \"editor\"", true);
        let text = metrics.text(&Conditions::default());
        for line in [
            "mcpkeel_reconcile_total{outcome=\"applied\"} 1",
            "mcpkeel_reconcile_duration_seconds_bucket{le=\"0.0025\"} 0",
            "mcpkeel_reconcile_duration_seconds_bucket{le=\"0.005\"} 1",
            "mcpkeel_reconcile_duration_seconds_bucket{le=\"1\"} 1",
            "mcpkeel_reconcile_duration_seconds_bucket{le=\"+Inf\"} 2",
            "mcpkeel_reconcile_duration_seconds_count 2",
            "mcpkeel_drift_repaired_total{client=\"my \\\"editor\\\"\"} 1",
            "mcpkeel_manifest_ready 0",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
    }
}
