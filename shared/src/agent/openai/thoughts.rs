//! Thoughts that stand in an answer's content, between tags: models write them so where nothing takes them apart.
//!
//! Only a tag that the content begins with is one. Words about tags are words.

use super::words::Kind;

const TAGS: [&str; 3] = ["<think>", "<thinking>", "<thought>"];

/// Takes a content apart, in pieces of any size, into thoughts and words.
#[derive(Debug)]
pub(super) struct Thoughts(Stage);

#[derive(Debug)]
enum Stage {
    /// Nothing but white space has come, and perhaps a piece of a tag.
    Beginning {
        blank: String,
        piece: String,
        after_thought: bool,
    },
    Thinking(Thought),
    Words,
}

#[derive(Debug)]
struct Thought {
    end: String,
    /// What may be a piece of the end.
    piece: String,
    /// White space that belongs to it only if more comes.
    blank: String,
    begun: bool,
}

impl Default for Thoughts {
    fn default() -> Self {
        Self(Stage::beginning(false))
    }
}

impl Stage {
    fn beginning(after_thought: bool) -> Self {
        Self::Beginning { blank: String::new(), piece: String::new(), after_thought }
    }
}

impl Thoughts {
    /// What the next piece of the content says.
    pub(super) fn read(&mut self, text: &str) -> Vec<(Kind, String)> {
        let mut said = Vec::new();
        let mut rest = text.to_owned();
        while !rest.is_empty() {
            rest = match &mut self.0 {
                Stage::Words => {
                    said.push((Kind::Text, rest));
                    break;
                }
                Stage::Thinking(thought) => match thought.read(&rest, &mut said) {
                    None => break,
                    Some(rest) => {
                        self.0 = Stage::beginning(true);
                        rest
                    }
                },
                Stage::Beginning { blank, piece, after_thought } => {
                    let text = if piece.is_empty() { rest.trim_start() } else { &rest };
                    blank.push_str(&rest[..rest.len() - text.len()]);
                    piece.push_str(text);
                    let is_start = |tag: &&&str| piece.get(..tag.len()).is_some_and(|it| it.eq_ignore_ascii_case(tag));
                    if let Some(tag) = TAGS.iter().find(is_start) {
                        let rest = piece.split_off(tag.len());
                        let end = tag.replace('<', "</");
                        let (piece, blank) = (String::new(), String::new());
                        self.0 = Stage::Thinking(Thought { end, piece, blank, begun: false });
                        rest
                    } else if TAGS.iter().any(|tag| begins_with(tag, piece)) {
                        break;
                    } else {
                        let words = beginning(blank, *after_thought) + piece;
                        self.0 = Stage::Words;
                        words
                    }
                }
            };
        }
        said
    }

    /// What is left when the content ends. The next begins anew.
    pub(super) fn end(&mut self) -> Vec<(Kind, String)> {
        let mut said = Vec::new();
        match std::mem::take(self).0 {
            Stage::Beginning { blank, piece, after_thought } => {
                if !(after_thought && piece.is_empty()) {
                    said.push((Kind::Text, beginning(&blank, after_thought) + &piece));
                }
            }
            Stage::Thinking(mut thought) => {
                let piece = std::mem::take(&mut thought.piece);
                thought.say(&piece, &mut said);
            }
            Stage::Words => {}
        }
        said
    }
}

impl Thought {
    /// Reads on; what follows it, where it ends here.
    fn read(&mut self, text: &str, said: &mut Vec<(Kind, String)>) -> Option<String> {
        let mut text = std::mem::take(&mut self.piece) + text;
        if let Some(at) = text.to_ascii_lowercase().find(&self.end) {
            self.say(&text[..at], said);
            return Some(text.split_off(at + self.end.len()));
        }
        let last = text.rfind('<').filter(|at| begins_with(&self.end, &text[*at..]));
        if let Some(at) = last {
            self.piece = text.split_off(at);
        }
        self.say(&text, said);
        None
    }

    /// Says it, without white space around the whole of it.
    fn say(&mut self, text: &str, said: &mut Vec<(Kind, String)>) {
        let text = if self.begun { text } else { text.trim_start() };
        let words = text.trim_end();
        if !words.is_empty() {
            said.push((Kind::Reasoning, std::mem::take(&mut self.blank) + words));
            self.begun = true;
        }
        self.blank.push_str(&text[words.len()..]);
    }
}

/// Whether the tag begins with this piece, in any case.
fn begins_with(tag: &str, piece: &str) -> bool {
    tag.get(..piece.len()).is_some_and(|start| start.eq_ignore_ascii_case(piece))
}

/// The white space before words: after thoughts without the blank lines.
fn beginning(blank: &str, after_thought: bool) -> String {
    let line = blank.rfind('\n').filter(|_| after_thought).map_or(0, |at| at + 1);
    blank[line..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thoughts and words of a content that comes in pieces of so many characters.
    fn read(content: &str, size: usize) -> (String, String) {
        let (mut thoughts, mut told) = (Thoughts::default(), (String::new(), String::new()));
        let characters: Vec<char> = content.chars().collect();
        let mut tell = |said: Vec<(Kind, String)>| {
            for (kind, text) in said {
                if kind == Kind::Reasoning { &mut told.0 } else { &mut told.1 }.push_str(&text);
            }
        };
        for piece in characters.chunks(size) {
            tell(thoughts.read(&piece.iter().collect::<String>()));
        }
        tell(thoughts.end());
        told
    }

    #[test]
    fn thoughts_and_words_are_taken_apart() {
        for (content, thoughts, words) in [
            ("<think>\n\nlet me\n see\n</think>\n\nTwenty days.", "let me\n see", "Twenty days."),
            (" \n<thinking>a</thinking>b", "a", "b"),
            ("<THOUGHT> a </Thought>\n\n    code", "a", "    code"),
            ("<think>a</think> <think>b</think>c", "ab", "c"),
            ("<think>\n\n</think>\n\nTwenty", "", "Twenty"),
            ("<think>let me see </thin", "let me see </thin", ""),
            ("<think>a < b </thinking> c", "a < b </thinking> c", ""),
            ("<think>a<</think>b", "a<", "b"),
            ("<think>é</think>", "é", ""),
            ("<thi", "", "<thi"),
            ("<thinner> tag", "", "<thinner> tag"),
            ("\n Twenty <think>days</think>", "", "\n Twenty <think>days</think>"),
            ("<é", "", "<é"),
            (" \n ", "", " \n "),
        ] {
            for size in 1..=content.len() {
                assert_eq!(read(content, size), (thoughts.to_owned(), words.to_owned()), "{content}, by {size}");
            }
        }
    }
}
