//! The findings: one line each, with what to do about it.

use std::process::ExitCode;

use shared::config::environment;

/// How a finding is marked.
struct Marks {
    good: &'static str,
    doubtful: &'static str,
    wrong: &'static str,
    arrow: &'static str,
}

const UNICODE: Marks = Marks { good: "✓", doubtful: "!", wrong: "✗", arrow: "→" };
const ASCII: Marks = Marks { good: "+", doubtful: "!", wrong: "x", arrow: "->" };

/// What was found so far.
pub(super) struct Report {
    marks: &'static Marks,
    doubtful: usize,
    wrong: usize,
}

impl Report {
    pub(super) fn new() -> Self {
        // As the C library chooses a locale.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| environment(name).filter(|value| !value.is_empty()))
            .unwrap_or_default()
            .to_ascii_lowercase();
        let marks = if locale.contains("utf-8") || locale.contains("utf8") { &UNICODE } else { &ASCII };
        Self { marks, doubtful: 0, wrong: 0 }
    }

    /// As it should be.
    pub(super) fn good(&self, what: impl AsRef<str>) {
        println!("{} {}", self.marks.good, one_line(what.as_ref()));
    }

    /// Works, and may not be meant.
    pub(super) fn doubtful(&mut self, what: impl AsRef<str>, advice: impl AsRef<str>) {
        self.doubtful += 1;
        self.line(self.marks.doubtful, what.as_ref(), advice.as_ref());
    }

    /// Doesn't work.
    pub(super) fn wrong(&mut self, what: impl AsRef<str>, advice: impl AsRef<str>) {
        self.wrong += 1;
        self.line(self.marks.wrong, what.as_ref(), advice.as_ref());
    }

    fn line(&self, mark: &str, what: &str, advice: &str) {
        println!("{mark} {} {} {}", one_line(what), self.marks.arrow, one_line(advice));
    }

    /// The sum.
    pub(super) fn end(&self) -> ExitCode {
        match (self.wrong, self.doubtful) {
            (0, 0) => println!("all is well"),
            (0, doubtful) => println!("nothing is wrong; to look at: {doubtful}"),
            (wrong, doubtful) => println!("wrong: {wrong}; to look at: {doubtful}"),
        }
        if self.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// A finding is one line, whatever a server or a token put into it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text from elsewhere, in quotes and not for ever.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 100;
    let short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() { format!("{short:?}...") } else { format!("{short:?}") }
}
