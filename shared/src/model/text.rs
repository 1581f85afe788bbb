//! Texts that are shown short: titles and snippets.

use unicode_segmentation::UnicodeSegmentation as _;

/// The text, or its beginning with an ellipsis where it has more than `most` characters. Cut between graphemes: half a
/// family of emoji is another family, and a letter without its accent another letter.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    format!("{}…", beginning(text, most.saturating_sub(1)))
}

/// The graphemes at the beginning of a text that have at most `most` characters together.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let Some((limit, _)) = text.char_indices().nth(most) else { return text };
    let ends = text.grapheme_indices(true).map(|(at, grapheme)| at + grapheme.len());
    // A grapheme has no longest length. One that fills all the room by itself is cut: the alternative is no text at all.
    let end = ends.take_while(|end| *end <= limit).last().unwrap_or(limit);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_graphemes() {
        for (grapheme, chars) in [
            ("語", 1),
            ("e\u{301}", 2),
            ("👍🏽", 2),
            ("🇩🇪", 2),
            ("\r\n", 2),
            ("\u{1112}\u{1161}\u{11ab}", 3),
            ("क्षि", 4),
            ("👩‍👩‍👧‍👦", 7),
            ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", 7),
        ] {
            assert_eq!(grapheme.chars().count(), chars, "{grapheme:?}");
            let text = grapheme.repeat(20);
            for most in chars + 1..=text.chars().count() {
                let short = cut(&text, most);
                let whole = short.strip_suffix('…').unwrap_or(&short);
                assert_eq!(whole, grapheme.repeat(whole.len() / grapheme.len()), "{grapheme:?} in {most}");
                assert!((most - chars..=most).contains(&short.chars().count()), "{grapheme:?} in {most}");
            }
        }
    }

    #[test]
    fn a_text_that_fits_stays_as_it_is() {
        for text in ["", "a", "Straße", "👩‍👩‍👧‍👦"] {
            let chars = text.chars().count();
            assert_eq!(cut(text, chars), text);
            assert_eq!(beginning(text, chars), text);
        }
    }

    #[test]
    fn a_grapheme_without_end_is_cut() {
        let zalgo = format!("a{}", "\u{301}".repeat(1_000));
        assert_eq!(cut(&zalgo, 10).chars().count(), 10);
        assert_eq!(cut(&format!("b{zalgo}"), 10), "b…", "what fits is kept whole");
    }
}
