//! Figures and the table that they are printed in.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// What was seen of the reference in one work.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    /// As it is printed.
    pub(crate) figure: String,
    /// Its median in milliseconds, for works that are a time.
    pub(crate) median_ms: Option<f64>,
}

/// Times that were measured, in order.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// # Panics
    /// When nothing was measured.
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        Self(times)
    }

    /// Measures each of these runs.
    pub(crate) fn of(runs: usize, mut run: impl FnMut() -> Duration) -> Self {
        Self::new((0..runs).map(|_| run()).collect())
    }

    /// The smallest time that at least this part of the samples, in per cent, does not pass; in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        milliseconds(self.0[rank - 1])
    }

    /// The median in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The figures of a work whose target is about its median.
    pub(crate) fn shown(&self) -> String {
        format!(
            "median {} ms, p99 {}, min {}",
            digits(self.median()),
            digits(self.percentile(99)),
            digits(milliseconds(self.0[0]))
        )
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A number with three digits that count, and no more.
pub(crate) fn digits(value: f64) -> String {
    match value {
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name under which the reference's figure of the same work is kept.
    id: &'static str,
    work: String,
    amount: String,
    figure: String,
    /// The figure to reach, and whether it was; none for what is measured for information.
    target: Option<(String, bool)>,
}

impl Row {
    /// A work, on how much of it, and what came out.
    pub(crate) fn new(id: &'static str, work: &str, amount: String, figure: String) -> Self {
        Self { id, work: work.to_owned(), amount, figure, target: None }
    }

    /// The figure to reach.
    pub(crate) fn target(mut self, figure: &str, reached: bool) -> Self {
        self.target = Some((figure.to_owned(), reached));
        self
    }
}

/// The table, printed line by line as the figures come.
#[derive(Debug)]
pub(crate) struct Report {
    markdown: bool,
    reference: BTreeMap<String, Reference>,
    rows: usize,
    missed: usize,
}

impl Report {
    pub(crate) fn new(markdown: bool, reference: BTreeMap<String, Reference>) -> Self {
        Self { markdown, reference, rows: 0, missed: 0 }
    }

    /// What is known of the reference in this work.
    pub(crate) fn reference(&self, id: &str) -> Option<&Reference> {
        self.reference.get(id)
    }

    /// Prints what stands above the table.
    pub(crate) fn begin(&self, machine: &str) {
        print(&format!("{machine}\n\n"));
        if self.markdown {
            print("| work | on | figure to reach | Conveyor | reference | `make bench` name |\n");
            print("|---|---|---|---|---|---|\n");
        }
    }

    /// Prints a line.
    pub(crate) fn add(&mut self, row: Row) {
        self.rows += 1;
        let reference = self.reference.get(row.id).map_or("-", |reference| reference.figure.as_str());
        let (target, verdict) = match &row.target {
            None => ("-", ""),
            Some((figure, true)) => (figure.as_str(), "reached"),
            Some((figure, false)) => {
                self.missed += 1;
                (figure.as_str(), "MISSED")
            }
        };
        let Row { id, work, amount, figure, .. } = &row;
        if self.markdown {
            let missed = if verdict == "MISSED" { " **(missed)**" } else { "" };
            print(&format!("| {work} | {amount} | {target} | {figure}{missed} | {reference} | `{id}` |\n"));
        } else {
            print(&format!("{id:<13} {work}\n{:13} on {amount}\n", ""));
            print(&format!("{:13} {figure}\n", ""));
            print(&format!("{:13} to reach: {target}  {verdict}\n", ""));
            print(&format!("{:13} reference: {reference}\n\n", ""));
        }
    }

    /// Prints what stands below the table.
    pub(crate) fn end(&self) {
        print(&format!("\n{} works measured, {} figures missed\n", self.rows, self.missed));
    }
}

/// Prints to standard output.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    // A closed standard output has nobody to print to.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
