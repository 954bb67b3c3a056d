//! Structure of the HTML page, without a browser: contrast in both color schemes, label targets, order of headings.

use std::collections::{BTreeMap, BTreeSet};

use riskform::report::{self, OutputFormat};

use super::{drift, fleet, shown};

const STYLE: &str = include_str!("../../../src/report/style.css");

fn pages() -> [String; 3] {
    [
        shown(&fleet(), OutputFormat::Html),
        shown(&drift(&fleet()), OutputFormat::Html),
        report::audit(
            &crate::audit::formats::fleet(),
            OutputFormat::Html,
            &str::to_owned,
        ),
    ]
}

/// Returns the values of an attribute, in order.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    page.split(&format!(" {name}=\""))
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

/// Relative luminance (WCAG 2.2, glossary).
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Returns the colors of the light and dark schemes by name.
fn schemes() -> [BTreeMap<&'static str, &'static str>; 2] {
    let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
    [light, dark].map(|part| {
        part.lines()
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("--")?
                    .strip_suffix(';')?
                    .split_once(": ")
            })
            .collect()
    })
}

#[test]
fn text_can_be_read_in_both_schemes() {
    // WCAG 2.2, 1.4.3, level AA; and 1.4.11 for the borders that show the type of a block.
    for scheme in schemes() {
        for text in ["text", "quiet", "link", "good", "attention", "danger"] {
            for ground in ["page", "panel"] {
                let contrast = contrast(scheme[text], scheme[ground]);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
        let contrast = contrast(scheme["text"], scheme["danger-panel"]);
        assert!(contrast >= 4.5, "text on danger-panel: {contrast:.2}");
    }
}

#[test]
fn labels_lead_somewhere_and_headings_stand_in_order() {
    for page in pages() {
        let ids = attributes(&page, "id");
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "an id is there twice");
        let labelled = attributes(&page, "aria-labelledby");
        let links = attributes(&page, "href");
        let links = links.iter().map(|link| link.strip_prefix('#').unwrap());
        for target in labelled.into_iter().chain(links) {
            assert!(distinct.contains(target), "{target} is nowhere");
        }
        assert_eq!(
            page.matches("<th ").count(),
            attributes(&page, "scope").len(),
            "a heading of a table does not say of what"
        );
        assert!(!page.contains("<th>"));
        let headings: Vec<u32> = page
            .split("<h")
            .skip(1)
            .filter_map(|rest| rest.chars().next()?.to_digit(10))
            .collect();
        assert_eq!(headings[0], 1);
        for pair in headings.windows(2) {
            assert!(
                pair[1] > 1 && pair[1] <= pair[0] + 1,
                "h{} follows h{}",
                pair[1],
                pair[0]
            );
        }
        for tag in [
            "<html lang=\"en\">",
            "<title>riskform",
            "<header>",
            "<main>",
            "<footer>",
        ] {
            assert_eq!(page.matches(tag).count(), 1, "{tag}");
        }
    }
}
