//! Reads complete lists. Only this module follows pages and compares a list with its totals.
//!
//! An inconsistent list is read again, because it may have changed between two pages. A second inconsistent list is an error, because a
//! missing item would look like a deleted one.

use std::collections::HashSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use super::client::{ApiRequest, ApiResponse, Client};
use super::error::{ApiError, RequestIds};

/// Division of a list into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// One page, unless its totals say otherwise.
    Unpaged,
    /// Numbered pages of this size, until the totals are reached or a page is empty.
    Numbered(usize),
    /// Each page names the next one. At most this many are read.
    Cursor(u64),
}

/// Items of a page, each with its unique ID if it has one.
pub(super) type Items<T> = Vec<(Option<String>, T)>;

/// A list.
pub(super) struct List<P, T> {
    /// The first page, without its items.
    pub(super) first: P,
    pub(super) items: Vec<T>,
    pub(super) request_ids: RequestIds,
    /// False if the maximum number of pages was reached.
    pub(super) is_complete: bool,
}

impl Client {
    /// Reads all pages of a list. `take` takes the items of a page; `empty` creates the page for `result: null` if that means an empty list.
    pub(super) async fn list<P: DeserializeOwned, T>(
        &self,
        call: &ApiRequest,
        paging: Paging,
        empty: Option<fn() -> P>,
        take: impl Fn(&mut P) -> Items<T>,
    ) -> Result<List<P, T>, ApiError> {
        match self.pages(call, paging, empty, &take).await? {
            Ok(list) => Ok(list),
            Err(_) => self.pages(call, paging, empty, &take).await?,
        }
    }

    /// Reads all pages once. The inner error is a list that does not add up.
    async fn pages<P: DeserializeOwned, T>(
        &self,
        call: &ApiRequest,
        paging: Paging,
        empty: Option<fn() -> P>,
        take: &impl Fn(&mut P) -> Items<T>,
    ) -> Result<Result<List<P, T>, ApiError>, ApiError> {
        let (max_pages, size) = match paging {
            Paging::Unpaged => (1_000, None),
            Paging::Numbered(size) => (50, Some(size as u64)),
            Paging::Cursor(pages) => (pages, None),
        };
        let mut list: Option<List<P, T>> = None;
        let mut seen: HashSet<String> = HashSet::new();
        let mut request = ApiRequest::new(call.endpoint, call.path.clone());
        if let Some(size) = size {
            request.path = with_parameters(call, &format!("page=1&per_page={size}"));
        }
        let incomplete = |request_ids: &RequestIds, problem: String| {
            let problem = format!("an incomplete list: {problem}");
            Ok(Err(self.unexpected_response(call, problem, request_ids)))
        };
        for number in 1..=max_pages {
            let mut response = self.read::<P>(&request).await?;
            if let (Some(None), Some(empty)) = (&response.value.result, empty) {
                response.value.result = Some(Some(empty()));
            }
            let info = std::mem::take(&mut response.value.result_info);
            let ApiResponse {
                value: mut page,
                request_ids,
            } = self.result(&request, response)?;
            let new = take(&mut page);
            let list = list.get_or_insert_with(|| List {
                first: page,
                items: Vec::new(),
                request_ids: request_ids.clone(),
                is_complete: false,
            });
            let incomplete = |problem| incomplete(&request_ids, problem);
            let is_empty = new.is_empty();
            if info.count.is_some_and(|count| count > new.len() as u64) {
                return incomplete(format!("page {number} has fewer items than its count"));
            }
            let mut ids = new.iter().filter_map(|(id, _)| id.as_ref()).peekable();
            if number > 1
                && !info.has_totals()
                && ids.peek().is_some()
                && ids.all(|id| seen.contains(id))
            {
                // A server without pages returns the same items again.
                list.is_complete = true;
                break;
            }
            if number > 1 && info.page.is_some_and(|page| page != number) {
                return incomplete(format!("page {number} is missing"));
            }
            for (id, item) in new {
                if let Some(id) = id.filter(|id| !seen.insert(id.clone())) {
                    let id = match call.endpoint.has_sensitive_response() {
                        true => "an ID".to_owned(),
                        false => format!("the ID {id}"),
                    };
                    return incomplete(format!("page {number} repeats {id}"));
                }
                list.items.push(item);
            }
            let held = list.items.len();
            let more = info.has_more(held, number);
            let next = match paging {
                Paging::Cursor(_) => info.cursor.as_ref().filter(|_| !is_empty).map(|cursor| {
                    let cursor = utf8_percent_encode(cursor, NON_ALPHANUMERIC);
                    format!("cursor={cursor}")
                }),
                _ if more || size.is_some() && !info.has_totals() && !is_empty => {
                    let size = size
                        .or(info.per_page)
                        .map(|size| format!("&per_page={size}"));
                    Some(format!("page={}{}", number + 1, size.unwrap_or_default()))
                }
                _ => None,
            };
            if is_empty && info.has_more(held, number - 1) || more && next.is_none() {
                return incomplete(format!("{held} items, and its totals state more"));
            }
            let Some(next) = next else {
                list.is_complete = true;
                break;
            };
            let path = with_parameters(call, &next);
            if path == request.path {
                return incomplete("a page names itself as the next one".to_owned());
            }
            request.path = path;
        }
        let list = list.expect("at least one page is read");
        if list.is_complete || matches!(paging, Paging::Cursor(_)) {
            return Ok(Ok(list));
        }
        incomplete(&list.request_ids, format!("more than {max_pages} pages"))
    }
}

fn with_parameters(call: &ApiRequest, parameters: &str) -> String {
    let separator = if call.path.contains('?') { '&' } else { '?' };
    format!("{}{separator}{parameters}", call.path)
}
