//! What a test may have of the agent: the last line of its question, `agent: pace=20 hold@3=name cut@5`.
//!
//! - `delay=MS` before it answers at all, `pace=MS` between two deltas, `bytes=N` of text at least
//! - `status=N`: refuses with that status
//! - `finish=REASON` instead of `stop`, `reasoning` before the answer
//! - `call=TOOL`: calls this tool of the client's, and answers once its result is there
//! - after N deltas: `hold@N=NAME` until `POST /release/NAME`; `silent@N`: nothing more, the connection open; `cut@N`: the
//!   connection is broken; `end@N`: it ends without a finish; `error@N`: an error such as the services report in a
//!   stream; `garbage@N`: an event that is no JSON

use std::time::Duration;

/// How to answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Script {
    pub(super) delay: Duration,
    pub(super) pace: Option<Duration>,
    pub(super) bytes: usize,
    pub(super) status: Option<u16>,
    pub(super) finish: Option<String>,
    pub(super) reasoning: bool,
    pub(super) call: Option<String>,
    /// After how many deltas what happens, in the order of the script.
    pub(super) events: Vec<(usize, Event)>,
}

/// What happens in the middle of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    Hold(String),
    Silent,
    Cut,
    End,
    Error,
    Garbage,
}

impl Script {
    /// Takes the script off a question; answers the question without it. A word that it doesn't know is an error, so
    /// that a test isn't told of what never happened.
    pub(super) fn of(question: &str) -> Result<(&str, Self), String> {
        let (before, last) = question.rsplit_once('\n').unwrap_or(("", question));
        let Some(line) = last.trim().strip_prefix("agent:") else { return Ok((question, Self::default())) };
        let mut script = Self::default();
        for word in line.split_whitespace() {
            script.read(word).ok_or_else(|| format!("the script has the word {word}, which nobody knows"))?;
        }
        Ok((before.trim_end(), script))
    }

    fn read(&mut self, word: &str) -> Option<()> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if let Some((event, after)) = name.split_once('@') {
            let event = match event {
                "hold" if !value.is_empty() => Event::Hold(value.to_owned()),
                "silent" => Event::Silent,
                "cut" => Event::Cut,
                "end" => Event::End,
                "error" => Event::Error,
                "garbage" => Event::Garbage,
                _ => return None,
            };
            self.events.push((after.parse().ok()?, event));
            return Some(());
        }
        match name {
            "delay" => self.delay = Duration::from_millis(value.parse().ok()?),
            "pace" => self.pace = Some(Duration::from_millis(value.parse().ok()?)),
            "bytes" => self.bytes = value.parse().ok()?,
            "status" => self.status = Some(value.parse().ok()?),
            "finish" => self.finish = Some(value.to_owned()),
            "reasoning" => self.reasoning = true,
            "call" if !value.is_empty() => self.call = Some(value.to_owned()),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_question_is_its_script() {
        let (question, script) = Script::of("How?\nagent: delay=5 bytes=4096 hold@3=a cut@5 finish=length").unwrap();
        assert_eq!((question, script.delay, script.bytes), ("How?", Duration::from_millis(5), 4096));
        assert_eq!(script.events, [(3, Event::Hold("a".to_owned())), (5, Event::Cut)]);
        assert_eq!(script.finish.as_deref(), Some("length"));
        assert_eq!(Script::of("agent: status=503").unwrap().0, "");
        let plain = "The agent: who is it?\nA line.";
        assert_eq!(Script::of(plain), Ok((plain, Script::default())));
    }

    #[test]
    fn an_unknown_word_is_an_error() {
        for word in ["hold@3", "cut", "cut@x", "bytes=many", "explode@3"] {
            assert!(Script::of(&format!("How?\nagent: {word}")).is_err(), "{word}");
        }
    }
}
