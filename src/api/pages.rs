//! Reads complete lists. Only this module follows pages and compares a list with its totals.
//!
//! A list that does not add up is read once more, because it may have changed between two pages. Then it is an error: a missing item
//! would look like a deleted one.

use std::collections::HashSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::ApiRequest;
use super::envelope::ResultField;
use super::error::ApiError;
use super::reader::Reader;
use super::response_metadata::RequestIds;

/// How a list is divided into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// One page, unless its totals say otherwise.
    Unpaged,
    /// Numbered pages of this size, until the totals are reached or a page is empty.
    Numbered(usize),
    /// Each page names the next one. At most this many are read.
    Cursor(u64),
}

/// The `result` of a response with a page of a list.
pub(super) trait Page: DeserializeOwned {
    type Item;
    /// Value for `result: null` if that means an empty list.
    const EMPTY: Option<fn() -> Self>;
    fn items(&mut self) -> &mut Vec<Self::Item>;
    /// Returns the unique ID of an item, if it has one.
    fn key(item: &Self::Item) -> Option<String>;
}

impl Page for Vec<Value> {
    type Item = Value;
    const EMPTY: Option<fn() -> Self> = Some(Vec::new);

    fn items(&mut self) -> &mut Vec<Value> {
        self
    }

    fn key(item: &Value) -> Option<String> {
        item["id"].as_str().map(str::to_owned)
    }
}

/// A list.
pub(super) struct List<P, T> {
    /// The first page, without its items.
    pub(super) first: P,
    pub(super) items: Vec<T>,
    pub(super) request_ids: RequestIds,
    /// False if the maximum number of pages was reached.
    pub(super) is_complete: bool,
}

/// A list that does not add up.
struct Incomplete {
    problem: String,
    request_ids: RequestIds,
}

impl Reader {
    /// Reads all pages of a list and converts the items.
    pub(super) async fn list<P: Page, T>(
        &self,
        call: &ApiRequest,
        paging: Paging,
        convert: impl Fn(P::Item) -> T,
    ) -> Result<List<P, T>, ApiError> {
        if let Ok(list) = self.pages::<P, T>(call, paging, &convert).await? {
            return Ok(list);
        }
        let again = self.pages::<P, T>(call, paging, &convert).await?;
        again.map_err(
            |Incomplete {
                 problem,
                 request_ids,
             }| {
                let problem = format!("an incomplete list: {problem}");
                self.client()
                    .unexpected_response(call, problem, request_ids)
            },
        )
    }

    async fn pages<P: Page, T>(
        &self,
        call: &ApiRequest,
        paging: Paging,
        convert: &impl Fn(P::Item) -> T,
    ) -> Result<Result<List<P, T>, Incomplete>, ApiError> {
        let max_pages = match paging {
            Paging::Unpaged => 1_000,
            Paging::Numbered(_) => 50,
            Paging::Cursor(pages) => pages,
        };
        let mut list: Option<List<P, T>> = None;
        let mut seen: HashSet<String> = HashSet::new();
        let mut request = ApiRequest::new(call.operation, call.path.clone());
        if let Paging::Numbered(size) = paging {
            request.path = with_parameters(call, &format!("page=1&per_page={size}"));
        }
        for number in 1..=max_pages {
            let opened = self.client().send_read::<P>(&request).await?;
            let (info, request_ids) = (opened.pages.clone(), opened.request_ids.clone());
            let mut page: P = match (&opened.content, P::EMPTY) {
                (ResultField::Null, Some(empty)) => empty(),
                _ => self.client().result(&request, opened)?.value,
            };
            let new = std::mem::take(page.items());
            let list = list.get_or_insert_with(|| List {
                first: page,
                items: Vec::new(),
                request_ids: request_ids.clone(),
                is_complete: false,
            });
            let incomplete = |problem: String| {
                Ok(Err(Incomplete {
                    problem,
                    request_ids,
                }))
            };
            let is_empty = new.is_empty();
            if info.count.is_some_and(|count| count > new.len() as u64) {
                return incomplete(format!("page {number} has fewer items than its count"));
            }
            let mut known = new.iter().filter_map(P::key).map(|key| seen.contains(&key));
            if number > 1
                && !info.has_totals()
                && known.next() == Some(true)
                && known.all(|known| known)
            {
                // A server without pages returns the same items again.
                list.is_complete = true;
                break;
            }
            if number > 1 && info.page.is_some_and(|page| page != number) {
                return incomplete(format!("page {number} is missing"));
            }
            for item in new {
                if let Some(id) = P::key(&item)
                    && !seen.insert(id.clone())
                {
                    let id = match call.operation.has_sensitive_response() {
                        true => "an ID".to_owned(),
                        false => format!("the ID {id}"),
                    };
                    return incomplete(format!("page {number} repeats {id}"));
                }
                list.items.push(convert(item));
            }
            let more = info.has_more(list.items.len(), number);
            let is_stated = info.has_more(list.items.len(), number - 1);
            let next = match paging {
                Paging::Unpaged => more.then(|| match info.per_page {
                    Some(size) => format!("page={}&per_page={size}", number + 1),
                    None => format!("page={}", number + 1),
                }),
                Paging::Numbered(size) => (more || !info.has_totals() && !is_empty)
                    .then(|| format!("page={}&per_page={size}", number + 1)),
                Paging::Cursor(_) => info.cursor.filter(|_| !is_empty).map(|cursor| {
                    let cursor = utf8_percent_encode(&cursor, NON_ALPHANUMERIC);
                    format!("cursor={cursor}")
                }),
            };
            if is_empty && is_stated || more && next.is_none() {
                return incomplete(format!(
                    "{} items, and its totals state more",
                    list.items.len()
                ));
            }
            match next.map(|parameters| with_parameters(call, &parameters)) {
                Some(path) if path == request.path => {
                    return incomplete("a page names itself as the next one".to_owned());
                }
                Some(path) => request.path = path,
                None => {
                    list.is_complete = true;
                    break;
                }
            }
        }
        let list = list.expect("at least one page is read");
        if list.is_complete || matches!(paging, Paging::Cursor(_)) {
            return Ok(Ok(list));
        }
        Ok(Err(Incomplete {
            problem: format!("more than {max_pages} pages"),
            request_ids: list.request_ids,
        }))
    }
}

fn with_parameters(call: &ApiRequest, parameters: &str) -> String {
    let separator = if call.path.contains('?') { '&' } else { '?' };
    format!("{}{separator}{parameters}", call.path)
}
