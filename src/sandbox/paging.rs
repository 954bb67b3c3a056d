//! Paging of lists: `page` and `per_page` of a query, and the `result_info` of the response.

use std::num::IntErrorKind;

use axum::http::Uri;
use serde::Serialize;
use url::form_urlencoded;

use super::envelope::ApiFailure;
use super::settings::Paging;

/// Maximum page size (`schema/api.md`, Access lists).
const MAX_PAGE_SIZE: usize = 1_000;

/// Returns all parameters of a query, in order.
pub(super) fn query(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

/// `result_info` of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct PageInfo {
    count: usize,
    page: usize,
    per_page: usize,
    total_count: usize,
    total_pages: usize,
}

/// Requested page, counted from 1, and page size.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageRequest {
    page: usize,
    per_page: usize,
}

impl PageRequest {
    /// Parses a query, ignoring other parameters.
    pub(super) fn read(uri: &Uri, default_size: usize) -> Result<Self, ApiFailure> {
        let mut wanted = PageRequest {
            page: 1,
            per_page: default_size,
        };
        for (name, value) in query(uri) {
            let (field, most) = match name.as_str() {
                "page" => (&mut wanted.page, usize::MAX),
                "per_page" => (&mut wanted.per_page, MAX_PAGE_SIZE),
                _ => continue,
            };
            let number = match value.parse::<usize>() {
                Ok(number) => Some(number),
                // The API documents no maximum page; pages after the end are empty.
                Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(usize::MAX),
                Err(_) => None,
            };
            let number = number.filter(|number| (1..=most).contains(number));
            *field = number.ok_or_else(|| {
                ApiFailure::Query(format!("{name} is not a number that is allowed"))
            })?;
        }
        Ok(wanted)
    }

    /// Returns the page of a list.
    pub(super) fn slice<T>(self, all: Vec<T>) -> (Vec<T>, PageInfo) {
        let PageRequest { page, per_page } = self;
        let total_count = all.len();
        let page_of_all: Vec<T> = all
            .into_iter()
            .skip((page - 1).saturating_mul(per_page))
            .take(per_page)
            .collect();
        let info = PageInfo {
            count: page_of_all.len(),
            page,
            per_page,
            total_count,
            total_pages: total_count.div_ceil(per_page),
        };
        (page_of_all, info)
    }
}

/// Returns the page of a risk-scoring list according to the setting.
pub(super) fn paged<T>(
    all: Vec<T>,
    uri: &Uri,
    paging: Paging,
) -> Result<(Vec<T>, Option<PageInfo>), ApiFailure> {
    let wanted = match paging {
        Paging::None => return Ok((all, None)),
        Paging::Ignored(size) => PageRequest {
            page: 1,
            per_page: size.get(),
        },
        Paging::Followed(size) => {
            let asked = PageRequest::read(uri, size.get())?;
            PageRequest {
                per_page: asked.per_page.min(size.get()),
                ..asked
            }
        }
    };
    let (page, info) = wanted.slice(all);
    Ok((page, Some(info)))
}
