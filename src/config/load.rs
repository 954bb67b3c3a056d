//! Loads desired-state files: finds, reads, checks and merges them, and validates all accounts together. Start with [`load`].
//!
//! All mistakes of all files are reported together. One invalid file rejects all files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_yaml::Value as Yaml;

use super::code::DiagnosticCode as Code;
use super::decode::{self, Declared};
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::files::{self, FileError, FileSelection, Files, FoundFile, shown};
use super::merge::merge;
use super::shape::{DOCUMENT, LIMITS, Shape};
use super::span::{Sources, Span};
use super::yaml::{self, Document, Value};
use crate::model::account::DesiredAccount;
use crate::model::limits::Limits;
use crate::model::text::hex;

pub use super::decode::LoadOptions;

/// Maximum number of base files of one account, on all levels.
const MAX_BASE_FILES: usize = 64;

/// Accounts of the files, and all mistakes.
#[derive(Debug)]
pub struct Checked {
    /// Accounts that could be read despite mistakes, sorted by source, then by account ID.
    pub accounts: Vec<DesiredAccount>,
    pub diagnostics: Diagnostics,
    /// Canonical paths of all files that were read, and the SHA-256 of their content.
    pub files: Vec<(PathBuf, String)>,
}

/// Loads all files. The result has at least one account, and its diagnostics are warnings.
///
/// # Errors
///
/// All mistakes in the files.
pub fn load(options: &LoadOptions<'_>) -> Result<Checked, Box<Diagnostics>> {
    let mut checked = check(options, None);
    let diagnostics = &mut checked.diagnostics;
    if checked.accounts.is_empty() && diagnostics.errors() == 0 {
        let first = options.paths.first().map(|path| shown(path));
        let first = first.unwrap_or_default();
        let message = "only fragments found: files starting with `_` are used through `extends`";
        let help = "pass a file that declares an account";
        diagnostics.report_file(&first, Code::NothingToLoad, message, help);
    }
    match diagnostics.errors() {
        0 => Ok(checked),
        _ => Err(Box::new(checked.diagnostics)),
    }
}

/// Checks all files and returns all diagnostics, also for fragments. The path `-` is standard input, whose paths in `extends` are relative
/// to the working directory.
pub fn check(options: &LoadOptions<'_>, stdin: Option<Vec<u8>>) -> Checked {
    let (paths, root) = (options.paths, options.confinement);
    let mut loader = Loader {
        options,
        files: Files::default(),
        diagnostics: Diagnostics::default(),
        parsed: HashMap::new(),
    };
    loader.files.stdin = stdin;
    let files = files::find(
        paths,
        FileSelection::Accounts,
        root,
        &mut loader.diagnostics,
    );
    loader.accounts(files)
}

/// Reads the operator limits (`--limits`): one YAML document, validated as strictly as a desired-state file, without variables.
///
/// # Errors
///
/// All mistakes in the file.
pub fn load_limits(path: &Path) -> Result<Limits, Box<Diagnostics>> {
    let mut diagnostics = Diagnostics::default();
    let limits = read_limits(path, &mut diagnostics);
    let limits = limits.filter(|_| diagnostics.errors() == 0);
    limits.ok_or(Box::new(diagnostics))
}

fn read_limits(path: &Path, diagnostics: &mut Diagnostics) -> Option<Limits> {
    let bytes = Files::default().read(path);
    let report = |error: FileError| error.report(path, diagnostics);
    let bytes = bytes.map_err(report).ok()?;
    let documents = documents(&shown(path), bytes, diagnostics);
    for document in documents.iter().skip(1) {
        let message = "the limits file contains several documents";
        let help = "move everything into the first document";
        diagnostics.report(document.root.span, Code::WrongType, message, help);
    }
    let Yaml::Mapping(mut limits) = decode::check(documents.first()?, &LIMITS, None, diagnostics)?
    else {
        return None;
    };
    if let Some(Yaml::Mapping(guards)) = limits.remove("guards") {
        limits.extend(guards);
    }
    let limits: Limits = serde_yaml::from_value(limits.into()).ok()?;
    let source = Some(path.to_owned());
    Some(Limits { source, ..limits })
}

/// Returns the documents of a file, without empty ones, which editors and templates create. Reports an error if there are no others.
fn documents(name: &str, bytes: Vec<u8>, diagnostics: &mut Diagnostics) -> Vec<Document> {
    let errors_before = diagnostics.errors();
    let source = files::register(name, bytes, diagnostics);
    let documents = source.map(|source| yaml::parse(source, diagnostics));
    let mut documents = documents.unwrap_or_default();
    documents.retain(|document| !document.root.is_null());
    if documents.is_empty() && diagnostics.errors() == errors_before {
        let help = "start the file with `version: 1`, or remove it";
        diagnostics.report_file(name, Code::EmptyDocument, "the file is empty", help);
    }
    documents
}

/// Documents of a file.
type ParsedFile = Arc<Vec<Arc<Document>>>;

struct Loader<'a> {
    options: &'a LoadOptions<'a>,
    files: Files,
    diagnostics: Diagnostics,
    /// Files by canonical path, so that a base file is read once for all files that extend it.
    parsed: HashMap<PathBuf, (ParsedFile, String)>,
}

/// Base files of one account.
struct Chain {
    /// Root directory of all files.
    root: Arc<Path>,
    /// Files from the one given by the user to the current one: canonical and shown paths.
    files: Vec<(PathBuf, String)>,
    /// Documents to merge, lowest first.
    documents: Vec<Arc<Document>>,
    /// Number of base files visited, bounded because the number of paths to a base file may be exponential.
    visited: usize,
}

impl Chain {
    fn shown(&self, from: usize, last: &Path) -> String {
        let files = self.files[from..].iter().map(|(_, shown)| shown.clone());
        files.chain([shown(last)]).collect::<Vec<_>>().join(" → ")
    }
}

impl Loader<'_> {
    fn accounts(mut self, files: Vec<FoundFile>) -> Checked {
        self.check_limits_location(&files);
        let mut declared = Vec::new();
        for file in files {
            let documents = match self.read(&file.path, &file.canonical) {
                Ok(documents) => documents,
                Err(error) => {
                    error.report(&file.path, &mut self.diagnostics);
                    continue;
                }
            };
            for document in documents.iter() {
                let mut chain = Chain {
                    root: Arc::clone(&file.root),
                    files: vec![(file.canonical.clone(), shown(&file.path))],
                    documents: Vec::new(),
                    visited: 0,
                };
                let is_whole = self.extend(document, &file.path, &mut chain);
                chain.documents.push(Arc::clone(document));
                if is_whole && !files::is_fragment(&file.path) {
                    declared.extend(self.account(&chain.documents, &file.path));
                }
            }
        }
        check_unique(&declared, &mut self.diagnostics);
        self.diagnostics.sources = Sources::default();
        let mut accounts: Vec<_> = declared.into_iter().map(|(account, ..)| account).collect();
        accounts.sort_by(|a, b| (&a.source, &a.account_id).cmp(&(&b.source, &b.account_id)));
        Checked {
            accounts,
            diagnostics: self.diagnostics,
            files: self
                .parsed
                .into_iter()
                .map(|(path, (_, hash))| (path, hash))
                .collect(),
        }
    }

    /// Merges and decodes the documents of an account. The last one is its own.
    fn account(&mut self, layers: &[Arc<Document>], path: &Path) -> Option<Declared> {
        let (first, own) = (layers.first()?, layers.last()?.root.span);
        // A document that was cut short may only seem to lack something.
        let are_complete = layers.iter().all(|document| document.is_complete);
        let values = layers.iter().map(|document| document.values).sum();
        if !are_complete || !self.diagnostics.spend(Resource::Declared, values, own) {
            return None;
        }
        let shape = Shape::Map(&DOCUMENT);
        let merge = |base, document: &Arc<Document>| merge(base, &document.root, &shape);
        let tree = layers[1..].iter().fold(first.root.clone(), merge);
        self.diagnostics.context = Some((own.source, format!("merged into {}", shown(path))));
        let account = decode::account(&tree, self.options, &mut self.diagnostics);
        self.diagnostics.context = None;
        account
    }

    /// Reads, parses and checks a file, once.
    fn read(&mut self, path: &Path, canonical: &Path) -> Result<ParsedFile, FileError> {
        match self.parsed.get(canonical) {
            Some((file, _)) => Ok(Arc::clone(file)),
            None => {
                let bytes = self.files.read(canonical)?;
                Ok(self.parse(path, canonical, bytes))
            }
        }
    }

    fn parse(&mut self, path: &Path, canonical: &Path, bytes: Vec<u8>) -> ParsedFile {
        let hash = hex(digest(&SHA256, &bytes));
        let mut documents = documents(&shown(path), bytes, &mut self.diagnostics);
        for document in &mut documents {
            let lookup = Some(self.options.variables);
            decode::check(document, &DOCUMENT, lookup, &mut self.diagnostics);
            document.is_complete &= matches!(document.root.value, Value::Map(_));
        }
        let file: ParsedFile = Arc::new(documents.into_iter().map(Arc::new).collect());
        let parsed = (Arc::clone(&file), hash);
        self.parsed.insert(canonical.to_owned(), parsed);
        file
    }

    /// Adds the base documents of a document. Returns false if one of them cannot be used; this has been reported.
    fn extend(&mut self, document: &Document, path: &Path, chain: &mut Chain) -> bool {
        let mut is_whole = true;
        for (written, span) in decode::extends(&document.root) {
            let added = self.add_base(&written, span, path, chain);
            is_whole &= added.unwrap_or_else(|problem| {
                self.diagnostics.push(*problem);
                false
            });
        }
        is_whole
    }

    /// Adds the documents for one item of `extends`. Returns false if one of them cannot be used; this has been reported.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    fn add_base(
        &mut self,
        written: &str,
        span: Span,
        from: &Path,
        chain: &mut Chain,
    ) -> Result<bool, Box<Problem>> {
        let path = &files::base_path(from, written);
        let error =
            |code, message: &str, help: &str| Box::new(Problem::at(span, code, message, help));
        let whole_chain = format!("`extends` chain: {}", chain.shown(0, path));
        let is_nested = chain.files.len() > 1;
        let unusable = |FileError(code, message, help)| {
            let (code, help) = match code {
                Code::Confined => (code, help),
                _ => (Code::Extends, "paths in `extends` are relative to the file"),
            };
            let mut problem = error(code, &format!("{}: {message}", shown(path)), help);
            problem.note = is_nested.then_some(whole_chain.clone());
            problem
        };
        let canonical = files::base(path, from, written, &chain.root).map_err(unusable)?;
        if let Some(at) = chain.files.iter().position(|(file, _)| *file == canonical) {
            let message = format!("`extends` cycle: {}", chain.shown(at, path));
            let help = "remove one `extends` entry";
            return Err(error(Code::ExtendsCycle, &message, help));
        }
        chain.visited += 1;
        if chain.visited > MAX_BASE_FILES {
            let message = format!("`extends` loads more than {MAX_BASE_FILES} files");
            let is_first = chain.visited == MAX_BASE_FILES + 1;
            let error = error(Code::Extends, &message, "extend fewer files");
            return if is_first { Err(error) } else { Ok(false) };
        }
        let note = format!("extended by {}", self.diagnostics.sources.location(span));
        self.diagnostics.context = Some((span.source, note));
        let file = self.read(path, &canonical);
        self.diagnostics.context = None;
        match file.map_err(unusable)?.as_slice() {
            [] => Ok(false),
            [document] => {
                chain.files.push((canonical, shown(path)));
                let is_whole = self.extend(document, path, chain);
                chain.files.pop();
                chain.documents.push(Arc::clone(document));
                Ok(is_whole)
            }
            [_, second, ..] => {
                let message = format!("{} contains several documents", shown(path));
                let help = "extend a file that contains one document";
                let problem = *error(Code::Extends, &message, help);
                let second = second.root.span;
                Err(Box::new(problem.related(
                    "",
                    second,
                    "start of the second document",
                )))
            }
        }
    }

    /// Warns if users who can edit the files can edit the limits as well.
    fn check_limits_location(&mut self, files: &[FoundFile]) {
        let Some(source) = self.options.limits_file else {
            return;
        };
        let canonical = source.canonicalize().unwrap_or_default();
        if let Some(file) = files.iter().find(|file| canonical.starts_with(&file.root)) {
            let (limits, root) = (shown(source), shown(&file.root));
            let message = format!(
                "the limits file {limits} is inside {root}, so anyone who can edit the files can edit it"
            );
            let help = "move the limits file to a place that authors of the files cannot change";
            let code = Code::LimitsBeneathRoot;
            self.diagnostics.report_file(&limits, code, &message, help);
        }
    }
}

/// Checks that account IDs and names are unique.
fn check_unique(declared: &[Declared], diagnostics: &mut Diagnostics) {
    let (mut accounts, mut names) = (BTreeMap::new(), BTreeMap::new());
    for (account, id_span, name_span) in declared {
        let (id, name) = (&account.account_id, account.label());
        if let Some(first) = accounts.insert(id, *id_span) {
            let message = format!("account {id} is declared twice");
            let help = "merge the documents, or move common parts to a file for `extends`";
            let problem = Problem::at(*id_span, Code::DuplicateAccount, &message, help);
            diagnostics.push(problem.duplicates(first));
        } else if let Some(first) = names.insert(name, *name_span) {
            let message = format!("account name `{name}` is used twice");
            let help = "give each account a unique `name`";
            let problem = Problem::at(*name_span, Code::DuplicateName, &message, help);
            diagnostics.push(problem.duplicates(first));
        }
    }
}
