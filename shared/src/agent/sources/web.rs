//! Perplexity's two lists, which xAI, `LiteLLM` and others send, too: links in `citations`, the n-th of which is what `[n]`
//! means, and `search_results`, which say more of them in an order of their own.
//! <https://docs.perplexity.ai/api-reference/chat-completions-post>

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::candidate::Candidate;
use super::shapes::{Entry, Kind, arrays};

/// What is kept back until it is clear that nothing richer comes.
#[derive(Debug, Default)]
pub(super) struct Web {
    links: Vec<Candidate>,
    results: Vec<Entry>,
}

impl Web {
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty() && self.results.is_empty()
    }

    /// Adds a frame's lists to those that stand elsewhere in it.
    pub(super) fn read(&mut self, places: &[&Map<String, Value>], lists: &mut Vec<(Kind, Vec<Entry>)>) {
        let last = |name| arrays(places, name).next_back().map(|list| list.iter().map(Candidate::from).collect());
        let links: Option<Vec<Candidate>> = last("citations");
        let results: Vec<Candidate> = last("search_results").unwrap_or_default();
        let links = match links {
            Some(links) => links,
            None if results.is_empty() => return,
            None => std::mem::take(&mut self.links),
        };
        if links.is_empty() {
            return lists.push((Kind::Results, results.into_iter().map(Entry::from).collect()));
        }
        let urls: HashSet<String> = links.iter().filter_map(|link| link.url.clone()).collect();
        let is_linked = |candidate: &Candidate| candidate.url.as_ref().is_some_and(|url| urls.contains(url));
        let mut details = HashMap::new();
        // LiteLLM makes an annotation of each mention of a link.
        lists.retain_mut(|(kind, entries)| {
            let are_mentions = *kind == Kind::Annotations && entries.iter().all(|entry| is_linked(&entry.candidate));
            if are_mentions {
                for Entry { mut candidate, .. } in entries.drain(..) {
                    candidate.extra.retain(|name, _| !name.ends_with("_index"));
                    details.entry(candidate.url.clone()).or_insert(candidate);
                }
            }
            !are_mentions
        });
        let (cited, uncited): (Vec<_>, Vec<_>) = results.into_iter().partition(is_linked);
        details.extend(cited.into_iter().map(|result| (result.url.clone(), result)));
        let is_bare = |link: &Candidate| link.snippet.is_none() && (link.title.is_none() || link.url.is_none());
        // Each frame has the whole of what is known by then.
        self.results = uncited.into_iter().map(Entry::from).collect();
        if details.is_empty() && links.iter().all(is_bare) {
            self.links = links;
            return;
        }
        self.links = Vec::new();
        let join = |link: Candidate| match details.get(&link.url) {
            Some(detail) if is_bare(&link) => detail.clone(),
            _ => link,
        };
        lists.push((Kind::Links, links.into_iter().map(join).map(Entry::from).collect()));
    }

    /// What is left at the end.
    pub(super) fn rest(&mut self) -> [(Kind, Vec<Entry>); 2] {
        let links = std::mem::take(&mut self.links).into_iter().map(Entry::from).collect();
        [(Kind::Links, links), (Kind::Results, std::mem::take(&mut self.results))]
    }
}
