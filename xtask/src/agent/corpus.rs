//! What the development agent knows: Markdown, cut at its headings.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A passage is no longer than so many sentences: what is long is about much, and fits everything a little.
const SENTENCES: usize = 6;

/// A document as it lies in the clone.
#[derive(Debug)]
pub(super) struct Document {
    /// Its path, from the clone's folder.
    pub(super) path: String,
    pub(super) text: String,
}

/// What stands below one heading, or a part of it.
#[derive(Debug, PartialEq)]
pub(super) struct Passage {
    /// The document's path.
    pub(super) document: String,
    /// The headings that lead to it: `The API › Names`.
    pub(super) heading: String,
    /// The heading's name in a link, as code hosts derive it.
    pub(super) anchor: String,
    /// What it says, sentence by sentence; rows of tables and items of lists are sentences, too.
    pub(super) sentences: Vec<String>,
}

impl Passage {
    /// Whether the other stands below the same heading.
    pub(super) fn stands_with(&self, other: &Self) -> bool {
        (&self.document, &self.anchor) == (&other.document, &other.anchor)
    }
}

/// Reads `README.md` and the Markdown files of `docs`.
pub(super) fn read(root: &Path) -> Result<Vec<Document>> {
    let mut paths = vec!["README.md".to_owned()];
    let docs = root.join("docs");
    let entries = fs::read_dir(&docs).with_context(|| format!("couldn't read {}", docs.display()))?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            paths.push(format!("docs/{name}"));
        }
    }
    paths.sort();
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("couldn't read {path}"))?;
        Ok(Document { path, text })
    };
    paths.into_iter().map(read).collect()
}

/// Cuts a document into what stands below each of its headings. Code is left out: it answers no question by itself.
pub(super) fn passages(document: &Document) -> Vec<Passage> {
    let mut passages = Vec::new();
    let mut trail: Vec<(usize, String)> = Vec::new();
    let mut block = String::new();
    let mut sentences = Vec::new();
    let mut code = false;
    for line in document.text.lines() {
        let text = line.trim();
        let fence = text.starts_with("```");
        code ^= fence;
        let heading = heading(text).filter(|_| !code);
        let row = !code && text.starts_with('|');
        let indented = block.is_empty() && line.starts_with("    ");
        if code || text.is_empty() || fence || heading.is_some() || row || item(text).is_some() {
            sentences.extend(split(&std::mem::take(&mut block)));
        }
        if let Some((level, name)) = heading {
            close(document, &trail, &std::mem::take(&mut sentences), &mut passages);
            trail.retain(|(above, _)| *above < level);
            trail.push((level, plain(name)));
        } else if row && text.trim_matches(['|', '-', ':', ' ']).is_empty() {
            // What stands above this line names the columns.
            sentences.pop();
        } else if row {
            let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
            sentences.push(format!("{}.", plain(&cells.join(" · "))));
        } else if !(code || fence || indented) {
            let text = item(text).unwrap_or(text);
            block = if block.is_empty() { text.to_owned() } else { format!("{block} {text}") };
        }
    }
    sentences.extend(split(&block));
    close(document, &trail, &sentences, &mut passages);
    passages
}

fn close(document: &Document, trail: &[(usize, String)], sentences: &[String], passages: &mut Vec<Passage>) {
    let names: Vec<&str> = trail.iter().map(|(_, name)| name.as_str()).collect();
    let anchor = names.last().map(|name| anchor(name)).unwrap_or_default();
    for sentences in sentences.chunks(SENTENCES) {
        passages.push(Passage {
            document: document.path.clone(),
            heading: names.join(" › "),
            anchor: anchor.clone(),
            sentences: sentences.to_vec(),
        });
    }
}

/// A heading's level and name.
fn heading(line: &str) -> Option<(usize, &str)> {
    let name = line.trim_start_matches('#');
    let level = line.len() - name.len();
    (level > 0).then_some(name.strip_prefix(' ')).flatten().map(|name| (level, name))
}

/// What an item of a list says.
fn item(line: &str) -> Option<&str> {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.strip_prefix("- ").or_else(|| number.strip_prefix(". ").filter(|_| number.len() < line.len()))
}

fn anchor(heading: &str) -> String {
    let letters = heading.to_lowercase().replace(' ', "-");
    letters.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Without links and emphasis: what is quoted stands elsewhere, where a relative link leads nowhere.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        rest = link;
        if let Some((name, target)) = link.split_once("](")
            && !name.contains('[')
            && let Some((_, after)) = target.split_once(')')
        {
            plain.push_str(name);
            rest = after;
        } else {
            plain.push('[');
        }
    }
    (plain + rest).replace("**", "")
}

/// The sentences of a paragraph.
fn split(paragraph: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, _) in paragraph.match_indices(['.', '?', '!']) {
        let rest = &paragraph[at + 1..];
        let ends = rest.starts_with(' ') && rest[1..].starts_with(|c: char| c.is_uppercase() || c == '`');
        if ends {
            sentences.push(plain(&paragraph[start..=at]));
            start = at + 2;
        }
    }
    sentences.push(plain(&paragraph[start..]));
    // What ends in a colon leads to something that a quotation of it alone would leave out.
    sentences.retain(|sentence| !sentence.trim().is_empty() && !sentence.ends_with(':'));
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn a_document_is_cut_at_its_headings() {
        let text = "# The API\nFirst. `second` one\ngoes on.\n\n## What's new?\n- **An item**, [linked](x.md).\n- Another\n  of two lines.\n\
                    \n```sh\n# no heading\ncode\n```\n    code, too\n\n| name | meaning |\n|---|---|\n| `A` | first |\n### Empty\n";
        let document = Document { path: "docs/api.md".to_owned(), text: text.to_owned() };
        let passage = |heading: &str, anchor: &str, sentences: &[&str]| Passage {
            document: "docs/api.md".to_owned(),
            heading: heading.to_owned(),
            anchor: anchor.to_owned(),
            sentences: sentences.iter().map(|sentence| (*sentence).to_owned()).collect(),
        };
        assert_eq!(
            passages(&document),
            [
                passage("The API", "the-api", &["First.", "`second` one goes on."]),
                passage(
                    "The API › What's new?",
                    "whats-new",
                    &["An item, linked.", "Another of two lines.", "`A` · first."]
                ),
            ]
        );
    }

    #[test]
    fn the_projects_own_documents_are_read() {
        let documents = read(workspace::root()).unwrap();
        assert!(documents.iter().any(|document| document.path == "README.md"));
        let passages: Vec<Passage> = documents.iter().flat_map(passages).collect();
        assert!(passages.len() > 20, "{}", passages.len());
        let names = passages.iter().find(|passage| passage.heading == "The API › Names").unwrap();
        assert_eq!(names.sentences.last().unwrap(), "What doesn't exist and what is someone else's is the same 404.");
    }
}
