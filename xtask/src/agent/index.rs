//! Okapi BM25, by Robertson and Walker: which texts are about these words. A few dozen texts need no more than this.

use std::collections::BTreeMap;

/// How soon another occurrence of a word in a text counts no more.
const K1: f64 = 1.2;
/// How much longer texts are held to have a word by chance.
const B: f64 = 0.75;

/// Words that tell nothing about what a question is about.
const STOP: [&str; 66] = [
    "a", "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "but", "by", "can", "did", "do", "does",
    "for", "from", "get", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "my",
    "no", "not", "of", "on", "one", "or", "our", "should", "so", "tell", "than", "that", "the", "their", "them",
    "then", "there", "they", "this", "to", "was", "we", "what", "when", "where", "which", "who", "why", "will", "with",
    "you", "your",
];

/// An index of texts, which are named by their place.
#[derive(Debug)]
pub(super) struct Index {
    /// For each word the texts that have it, and how often.
    postings: BTreeMap<String, Vec<(usize, u32)>>,
    lengths: Vec<f64>,
    mean_length: f64,
}

impl Index {
    pub(super) fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut postings: BTreeMap<String, Vec<(usize, u32)>> = BTreeMap::new();
        let mut lengths = Vec::new();
        for (text, words) in texts.into_iter().map(|text| words(text.as_ref())).enumerate() {
            lengths.push(float(words.len()));
            for word in words {
                let posting = postings.entry(word).or_default();
                match posting.last_mut() {
                    Some((last, count)) if *last == text => *count += 1,
                    _ => posting.push((text, 1)),
                }
            }
        }
        let mean_length = lengths.iter().sum::<f64>() / float(lengths.len().max(1));
        Self { postings, lengths, mean_length }
    }

    /// The texts that have some of the words, the best first, with their scores.
    pub(super) fn search(&self, words: &[String]) -> Vec<(usize, f64)> {
        let mut scores: BTreeMap<usize, f64> = BTreeMap::new();
        for word in words {
            for (text, count) in self.postings.get(word).into_iter().flatten() {
                let count = f64::from(*count);
                let length = self.lengths[*text] / self.mean_length;
                let often = count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
                *scores.entry(*text).or_default() += self.weight(word) * often;
            }
        }
        let mut found: Vec<(usize, f64)> = scores.into_iter().collect();
        found.sort_by(|one, other| other.1.total_cmp(&one.1));
        found
    }

    /// How much a word tells: the rarer, the more; nothing where no text has it.
    pub(super) fn weight(&self, word: &str) -> f64 {
        let with = self.postings.get(word).map_or(0, Vec::len);
        if with == 0 {
            return 0.0;
        }
        let (all, with) = (float(self.lengths.len()), float(with));
        ((all - with + 0.5) / (with + 0.5) + 1.0).ln()
    }
}

/// The words of a text that tell something, in the form in which they are compared: in lower case, and without the
/// endings of English.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase().replace('’', "'");
    let words = lower.split(|c: char| !c.is_alphanumeric() && c != '\'').map(|word| word.trim_matches('\''));
    words.filter(|word| !word.is_empty() && !STOP.contains(word)).map(stem).collect()
}

/// Cuts the commonest endings off: `stored`, `stores` and `storing` are one word.
fn stem(word: &str) -> String {
    let word = word.split('\'').next().unwrap_or(word);
    let cut = ["ing", "ies", "ied", "es", "ed", "s", "e", "y"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|stem| stem.chars().count() >= 3 && !stem.ends_with('s')));
    cut.unwrap_or(word).to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "these are counts of words")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_that_is_about_the_words_comes_first() {
        let index = Index::new([
            "A token lives for 15 minutes, and the token is verified.",
            "Conversations are stored, and so are messages.",
            "Messages may carry a token, among a great many of other things that nobody here has asked about.",
        ]);
        let found: Vec<usize> = index.search(&words("How are tokens verified?")).iter().map(|hit| hit.0).collect();
        assert_eq!(found, [0, 2]);
        assert_eq!(index.search(&words("storing a conversation"))[0].0, 1);
        assert!(index.search(&words("What about it?")).is_empty() && index.search(&words("weather")).is_empty());
        assert!(index.weight("weather") == 0.0 && index.weight("token") > 0.0);
        assert!(index.weight("liv") > index.weight("token"), "rarer");
    }

    #[test]
    fn words_are_compared_without_their_endings() {
        assert_eq!(
            words("The user's JWKS_TTL_SECONDS, stored; stores storing."),
            ["user", "jwk", "ttl", "second", "stor", "stor", "stor"]
        );
        assert_eq!(words("policies policy class is 404"), ["polic", "polic", "class", "404"]);
    }
}
