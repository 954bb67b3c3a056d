//! Dependencies among the files of each module of `src`: no file uses one that uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// A module or item by its names from the root: `plan`, `change`.
type ItemPath = Vec<String>;

/// Paths that a file uses, and paths that it re-exports.
#[derive(Default)]
struct Uses {
    used: Vec<ItemPath>,
    exported: Vec<ItemPath>,
}

/// Returns the code of all modules below a directory, without comments and tests.
fn modules(directory: &Path, path: &[String], found: &mut BTreeMap<ItemPath, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let inner = [path, std::slice::from_ref(&name)].concat();
        if file.is_dir() && name != "tests" {
            modules(&file, &inner, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let code = code.lines().map(|line| line.split("//").next().unwrap());
            let code = code.collect::<Vec<&str>>().join("\n");
            match name.as_str() {
                "mod" | "lib" => found.insert(path.to_vec(), code),
                "main" | "build" | "tests" => None,
                _ => found.insert(inner, code),
            };
        }
    }
}

/// Returns the paths of a `use` tree.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().to_owned()];
    };
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for char in inner.strip_suffix('}').unwrap().chars() {
        depth += i32::from(char == '{') - i32::from(char == '}');
        match (char, depth) {
            (',', 0) => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(char),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    let paths = parts.flat_map(|part| expand(part));
    paths.map(|path| format!("{prefix}{path}")).collect()
}

/// Returns a path from the root, or nothing if it leads to another crate.
fn absolute(
    module: &[String],
    path: &str,
    modules: &BTreeMap<ItemPath, String>,
) -> Option<ItemPath> {
    let mut names: &[&str] = &path.split("::").collect::<Vec<_>>();
    let mut base = module;
    match names[0] {
        "crate" => (base, names) = (&[], &names[1..]),
        "self" => names = &names[1..],
        "super" => {
            while names.first() == Some(&"super") {
                (base, names) = (&base[..base.len() - 1], &names[1..]);
            }
        }
        first if modules.contains_key(&[base, &[first.to_owned()]].concat()) => {}
        _ => return None,
    }
    let names = names.iter().map(|name| (*name).to_owned());
    Some(base.iter().cloned().chain(names).collect())
}

fn uses(module: &[String], code: &str, modules: &BTreeMap<ItemPath, String>) -> Uses {
    static STATEMENT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap());
    static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[a-z_]\w*(?:::\w+)+").unwrap());
    let mut uses = Uses::default();
    for statement in STATEMENT.captures_iter(code) {
        let paths = expand(&statement[2]).into_iter();
        let paths = paths.filter_map(|path| absolute(module, &path, modules));
        match statement.get(1) {
            Some(_) => uses.exported.extend(paths),
            None => uses.used.extend(paths),
        }
    }
    let rest = STATEMENT.replace_all(code, "");
    let paths = PATH.find_iter(&rest);
    uses.used
        .extend(paths.filter_map(|path| absolute(module, path.as_str(), modules)));
    uses
}

/// Returns the module that defines an item, through re-exports.
fn defining(item: &[String], all: &BTreeMap<ItemPath, Uses>) -> ItemPath {
    let mut length = item.len();
    while !all.contains_key(&item[..length]) {
        length -= 1;
    }
    let (module, rest) = item.split_at(length);
    let mut exported = all[module].exported.iter();
    let named = exported.find(|path| path.last() == rest.first() && path.as_slice() != item);
    match named.filter(|_| !rest.is_empty()) {
        Some(path) => defining(&[path, &rest[1..]].concat(), all),
        None => module.to_vec(),
    }
}

#[test]
fn files_of_a_module_have_no_cycle() {
    let mut code = BTreeMap::new();
    modules(Path::new("src"), &[], &mut code);
    assert!(code.len() > 80, "{}", code.len());
    let all = code
        .iter()
        .map(|(module, text)| (module.clone(), uses(module, text, &code)));
    let all: BTreeMap<ItemPath, Uses> = all.collect();
    // Uses among the files of each directory. Its own file, `mod`, may use all and be used by all.
    let mut graphs: BTreeMap<String, BTreeMap<&str, BTreeSet<String>>> = BTreeMap::new();
    for (module, uses) in &all {
        for item in &uses.used {
            let target = defining(item, &all);
            let same = module
                .iter()
                .zip(&target)
                .take_while(|(a, b)| a == b)
                .count();
            let from = module.get(same).map_or("mod", String::as_str);
            let to = target.get(same).map_or("mod", String::as_str);
            if ![from, to].contains(&"mod") {
                let graph = graphs.entry(module[..same].join("/")).or_default();
                graph.entry(from).or_default().insert(to.to_owned());
            }
        }
    }
    let mut cyclic = BTreeMap::new();
    for (directory, mut graph) in graphs {
        // Files that use no other file are in no cycle.
        loop {
            let left: BTreeSet<String> = graph.keys().map(|file| (*file).to_owned()).collect();
            graph
                .values_mut()
                .for_each(|used| used.retain(|file| left.contains(file)));
            graph.retain(|_, used| !used.is_empty());
            if graph.len() == left.len() {
                break;
            }
        }
        if !graph.is_empty() {
            cyclic.insert(directory, graph);
        }
    }
    assert!(cyclic.is_empty(), "{cyclic:#?}");
}
