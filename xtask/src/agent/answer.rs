//! What the development agent answers: the sentences of its documents that fit the question best, and where they stand.

use serde_json::{Value, json};

use super::corpus::{Document, Passage, passages};
use super::index::{Index, words};

/// An answer quotes at most so many passages,
const PASSAGES: usize = 3;
/// and of each so many sentences,
const SENTENCES: usize = 2;
/// and none that fits this much worse than the best one.
const NEAR: f64 = 0.6;
/// How much of a passage a source shows.
const SNIPPET_CHARS: usize = 280;
/// What it says where its documents have none of the question's words.
const NOTHING: &str = "The documents of this project say nothing about that.";

/// Documents that can be asked.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) documents: Vec<Document>,
    passages: Vec<Passage>,
    index: Index,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A word with the space before it, as a model writes them.
    Text(String),
    /// The mark `[n]` of a source, and the source.
    Citation(String, Source),
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    document: String,
    anchor: String,
    title: String,
    snippet: String,
    score: f64,
}

impl Library {
    pub(super) fn new(documents: Vec<Document>) -> Self {
        let passages: Vec<Passage> = documents.iter().flat_map(passages).collect();
        let text = |passage: &Passage| format!("{0} {0} {1}", passage.heading, passage.sentences.join(" "));
        Self { index: Index::new(passages.iter().map(text)), documents, passages }
    }

    /// Answers the last of a user's questions. One that has few words of its own (`And why?`) is about what the one
    /// before it was about.
    pub(super) fn answer(&self, questions: &[&str]) -> Vec<Piece> {
        let mut asked = Vec::new();
        for question in questions.iter().rev().take(2) {
            let known = words(question).into_iter().filter(|word| self.index.weight(word) > 0.0);
            asked.extend(known);
            if asked.len() > 1 {
                break;
            }
        }
        asked.sort();
        asked.dedup();
        let found = self.index.search(&asked);
        let Some(best) = found.first().map(|(_, score)| *score) else { return pieces_of(NOTHING) };
        let near = found.into_iter().take_while(|(_, score)| *score >= best * NEAR);
        let mut quoted: Vec<(&Passage, f64)> = Vec::new();
        for (passage, score) in near.map(|(passage, score)| (&self.passages[passage], score)) {
            // Two parts of one place would be one source with two numbers.
            if quoted.len() < PASSAGES && quoted.iter().all(|(other, _)| !passage.stands_with(other)) {
                quoted.push((passage, score));
            }
        }
        let mut pieces = Vec::new();
        for (place, (passage, score)) in quoted.into_iter().enumerate() {
            let sentences = self.best_sentences(passage, &asked).join(" ");
            let paragraph = if place == 0 { sentences } else { format!("\n\n{sentences}") };
            pieces.extend(pieces_of(&paragraph));
            pieces.push(Piece::Citation(format!(" [{}]", place + 1), Source::of(passage, score)));
        }
        pieces
    }

    /// The sentences that tell most about the words, in the order in which they stand.
    fn best_sentences<'a>(&self, passage: &'a Passage, asked: &[String]) -> Vec<&'a str> {
        let fit = |sentence: &String| {
            let words = words(sentence);
            asked.iter().filter(|word| words.contains(word)).map(|word| self.index.weight(word)).sum::<f64>()
        };
        let mut sentences: Vec<(usize, f64)> = passage.sentences.iter().map(fit).enumerate().collect();
        sentences.sort_by(|one, other| other.1.total_cmp(&one.1));
        sentences.truncate(SENTENCES);
        // The heading alone may have been what fits; then the first sentence stands for the passage.
        let fitting = sentences.iter().take_while(|(_, fit)| *fit > 0.0).count().max(1);
        sentences.truncate(fitting);
        sentences.sort_by_key(|(place, _)| *place);
        sentences.into_iter().map(|(place, _)| passage.sentences[place].as_str()).collect()
    }
}

impl Source {
    fn of(passage: &Passage, score: f64) -> Self {
        let text = passage.sentences.join(" ");
        let mut snippet: String = text.chars().take(SNIPPET_CHARS).collect();
        if snippet.len() < text.len() {
            snippet.push('…');
        }
        Self {
            document: passage.document.clone(),
            anchor: passage.anchor.clone(),
            title: passage.heading.clone(),
            snippet,
            score: (score * 1000.0).round() / 1000.0,
        }
    }

    /// As OpenAI-compatible services annotate an answer; with the snippet as its `content`, and the score beside it.
    pub(super) fn annotation(&self, base: &str, mark: std::ops::Range<usize>) -> Value {
        let url = format!("{base}/documents/{}#{}", self.document, self.anchor);
        json!({"type": "url_citation", "url_citation": {
            "url": url, "title": self.title, "content": self.snippet, "score": self.score,
            "start_index": mark.start, "end_index": mark.end,
        }})
    }
}

impl Piece {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Citation(text, _) => text,
        }
    }
}

/// A text word by word, each with what stands before it.
pub(super) fn pieces_of(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_whitespace() && !word.trim().is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut word)));
        }
        word.push(c);
    }
    if !word.is_empty() {
        pieces.push(Piece::Text(word));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library() -> Library {
        let document = |path: &str, text: &str| Document { path: path.to_owned(), text: text.to_owned() };
        Library::new(vec![
            document(
                "README.md",
                "# Colloquy\nIt keeps conversations.\n## Tokens\nThey live long. Nobody sees a token.",
            ),
            document(
                "docs/leave.md",
                "# Leave\nEverybody has twenty days of leave. Ask early.\n# Pay\nPay is monthly.",
            ),
        ])
    }

    fn text(pieces: &[Piece]) -> String {
        pieces.iter().map(Piece::text).collect()
    }

    #[test]
    fn an_answer_quotes_what_fits_and_says_where_it_stands() {
        let pieces = library().answer(&["How many days of leave do I have?"]);
        assert_eq!(text(&pieces), "Everybody has twenty days of leave. [1]");
        let Some(Piece::Citation(_, source)) = pieces.last() else { panic!("{pieces:?}") };
        let annotation = source.annotation("http://127.0.0.1:9003", 35..39);
        assert_eq!(annotation["url_citation"]["url"], "http://127.0.0.1:9003/documents/docs/leave.md#leave");
        assert_eq!(annotation["url_citation"]["content"], "Everybody has twenty days of leave. Ask early.");
        assert_eq!(annotation["url_citation"]["title"], "Leave");
        assert!(annotation["url_citation"]["score"].as_f64().unwrap() > 0.0);
        // The heading alone fits.
        assert_eq!(text(&library().answer(&["tokens"])), "Nobody sees a token. [1]");
    }

    #[test]
    fn a_question_of_few_words_is_about_the_one_before_it() {
        let library = library();
        assert_eq!(text(&library.answer(&["And why?"])), NOTHING);
        assert_eq!(text(&library.answer(&["Is pay monthly?", "And why?"])), "Pay is monthly. [1]");
        let other = library.answer(&["Is pay monthly?", "How many days of leave do I have?"]);
        assert_eq!(text(&other), "Everybody has twenty days of leave. [1]");
    }

    #[test]
    fn a_text_is_its_pieces() {
        let words = |text| pieces_of(text).iter().map(|piece| piece.text().to_owned()).collect::<Vec<_>>();
        assert_eq!(words("One  two.\n\nThree "), ["One", "  two.", "\n\nThree", " "]);
        assert!(words("").is_empty());
    }
}
