//! Loads desired-state files: finds, reads, checks and merges them, and validates all accounts together. Start with [`load`].
//!
//! All mistakes of all files are reported together. One invalid file rejects all files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use serde_yaml::Value as Yaml;

use super::code::DiagnosticCode as Code;
use super::decode::{self, Declared};
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::files::{
    self, AllowedRoot, FileError, FileSelection, Files, FoundFile, STDIN_PATH, shown,
};
use super::merge::merge;
use super::shape::{DOCUMENT, LIMITS};
use super::span::{Sources, Span};
use super::variables::Lookup;
use super::yaml::{self, Document, Value};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::limits::Limits;

/// Maximum number of base files of one account, on all levels.
const MAX_BASE_FILES: usize = 64;

/// Files to load and values that they may refer to.
pub struct LoadOptions<'a> {
    /// Files and directories, as given by the user.
    pub paths: &'a [PathBuf],
    /// Account ID of the command line. It is the default for files, and must not differ from the ID in a file.
    pub account_id: Option<AccountId>,
    /// Account ID of the environment; only a default.
    pub default_account_id: Option<AccountId>,
    /// Directory that all files must be in.
    pub confinement: &'a AllowedRoot,
    /// File with the operator limits. It must not be inside the root.
    pub limits_file: Option<&'a Path>,
    /// Looks up environment variables for `${NAME}`. Called only for variables that files may use.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// Current date (UTC), to check the `until` dates of `ignore_changes`.
    pub today: Date,
}

/// Accounts of the files, and all mistakes.
#[derive(Debug)]
pub struct Checked {
    /// Accounts that could be read despite mistakes, sorted by source, then by account ID.
    pub accounts: Vec<DesiredAccount>,
    pub diagnostics: Diagnostics,
    /// Canonical paths of all files that were read.
    pub files: Vec<PathBuf>,
}

/// Loads all files. The result has at least one account, and its diagnostics are warnings.
///
/// # Errors
///
/// All mistakes in the files.
pub fn load(options: &LoadOptions<'_>) -> Result<Checked, Box<Diagnostics>> {
    let mut checked = check(options);
    let diagnostics = &mut checked.diagnostics;
    if checked.accounts.is_empty() && diagnostics.errors() == 0 {
        let first = options.paths.first().map(|path| shown(path));
        let message = "only fragments found: files starting with `_` are used through `extends`";
        let help = "pass a file that declares an account";
        diagnostics.report_file(
            &first.unwrap_or_default(),
            Code::NothingToLoad,
            message,
            help,
        );
    }
    match diagnostics.errors() {
        0 => Ok(checked),
        _ => Err(Box::new(checked.diagnostics)),
    }
}

/// Checks all files and returns all diagnostics, also for fragments.
pub fn check(options: &LoadOptions<'_>) -> Checked {
    let mut loader = Loader::new(options);
    let (paths, root) = (options.paths, options.confinement);
    let kind = FileSelection::Accounts;
    let files = files::find(paths, kind, root, &mut loader.diagnostics);
    loader.accounts(files)
}

/// Checks text from standard input instead of files. Paths in `extends` are relative to the working directory.
pub fn validate_stdin(options: &LoadOptions<'_>, input: Vec<u8>) -> Checked {
    let mut loader = Loader::new(options);
    let files = match options.confinement.input() {
        Ok(file) => {
            loader.parse(&file.path, &file.canonical, input);
            vec![file]
        }
        Err(error) => {
            error.report(Path::new(STDIN_PATH), &mut loader.diagnostics);
            Vec::new()
        }
    };
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
    let name = shown(path);
    let source = files::register(&name, bytes, diagnostics)?;
    let mut documents = yaml::parse(source, diagnostics).into_iter();
    let first = documents.next().filter(|document| !document.root.is_null());
    for document in documents {
        let message = "the limits file contains several documents";
        let help = "move everything into the first document";
        diagnostics.report(document.root.span, Code::WrongType, message, help);
    }
    if first.is_none() && diagnostics.errors() == 0 {
        report_empty(&name, diagnostics);
    }
    let Yaml::Mapping(mut limits) = decode::check(&first?, &LIMITS, None, diagnostics)? else {
        return None;
    };
    if let Some(Yaml::Mapping(guards)) = limits.remove("guards") {
        limits.extend(guards);
    }
    let limits: Limits = serde_yaml::from_value(limits.into()).ok()?;
    let source = Some(path.to_owned());
    Some(Limits { source, ..limits })
}

fn report_empty(name: &str, diagnostics: &mut Diagnostics) {
    let help = "start the file with `version: 1`, or remove it";
    diagnostics.report_file(name, Code::EmptyDocument, "the file is empty", help);
}

/// Documents of a file.
type ParsedFile = Arc<Vec<Arc<Document>>>;

struct Loader<'a> {
    options: &'a LoadOptions<'a>,
    files: Files,
    diagnostics: Diagnostics,
    /// Files by canonical path, so that a base file is read once for all files that extend it.
    parsed: HashMap<PathBuf, ParsedFile>,
}

/// Base files of one account.
struct Chain {
    /// Root directory of all files.
    root: Arc<Path>,
    /// Files from the one given by the user to the current one: canonical and shown paths.
    files: Vec<(PathBuf, String)>,
    /// Base documents, lowest first.
    bases: Vec<Arc<Document>>,
    /// Number of base files visited, bounded because the number of paths to a base file may be exponential.
    visited: usize,
}

impl Chain {
    fn shown(&self, from: usize, last: &Path) -> String {
        let files = self.files[from..].iter().map(|(_, shown)| shown.clone());
        files.chain([shown(last)]).collect::<Vec<_>>().join(" → ")
    }
}

impl<'a> Loader<'a> {
    fn new(options: &'a LoadOptions<'a>) -> Self {
        Loader {
            options,
            files: Files::default(),
            diagnostics: Diagnostics::default(),
            parsed: HashMap::new(),
        }
    }

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
                    bases: Vec::new(),
                    visited: 0,
                };
                let is_whole = self.extend(document, &file.path, &mut chain);
                if is_whole && !files::is_fragment(&file.path) {
                    declared.extend(self.account(&chain.bases, document, &file.path));
                }
            }
        }
        check_unique(&declared, &mut self.diagnostics);
        self.diagnostics.sources = Sources::default();
        let mut accounts: Vec<_> = declared.into_iter().map(|one| one.account).collect();
        accounts.sort_by(|a, b| (&a.source, &a.account_id).cmp(&(&b.source, &b.account_id)));
        Checked {
            accounts,
            diagnostics: self.diagnostics,
            files: self.parsed.into_keys().collect(),
        }
    }

    /// Merges and decodes the documents of an account.
    fn account(
        &mut self,
        bases: &[Arc<Document>],
        document: &Arc<Document>,
        path: &Path,
    ) -> Option<Declared> {
        let own = document.root.span;
        let mut layers = bases.iter().chain([document]);
        // A document that was cut short may only seem to lack something.
        if !layers.clone().all(|document| document.is_complete) {
            return None;
        }
        let values = layers.clone().map(|document| document.values).sum();
        if !self.diagnostics.spend(Resource::Declared, values, own) {
            return None;
        }
        let first = layers.next()?.root.clone();
        let tree = layers.fold(first, |base, document| {
            merge(base, &document.root, &DOCUMENT)
        });
        self.diagnostics.context = Some((own.source, format!("merged into {}", shown(path))));
        let declared = decode::account(&tree, self.options, &mut self.diagnostics);
        self.diagnostics.context = None;
        declared
    }

    /// Reads, parses and checks a file, once.
    fn read(&mut self, path: &Path, canonical: &Path) -> Result<ParsedFile, FileError> {
        match self.parsed.get(canonical) {
            Some(file) => Ok(Arc::clone(file)),
            None => {
                let bytes = self.files.read(canonical)?;
                Ok(self.parse(path, canonical, bytes))
            }
        }
    }

    fn parse(&mut self, path: &Path, canonical: &Path, bytes: Vec<u8>) -> ParsedFile {
        let errors_before = self.diagnostics.errors();
        let name = shown(path);
        let source = files::register(&name, bytes, &mut self.diagnostics);
        let parsed = source.map(|source| yaml::parse(source, &mut self.diagnostics));
        let mut documents = Vec::new();
        for mut document in parsed.into_iter().flatten() {
            // Empty documents are allowed, because editors and templates create them.
            if !document.root.is_null() {
                let lookup: Lookup<'_> = self.options.variables;
                decode::check(&document, &DOCUMENT, Some(lookup), &mut self.diagnostics);
                document.is_complete &= matches!(document.root.value, Value::Map(_));
                documents.push(Arc::new(document));
            }
        }
        if documents.is_empty() && self.diagnostics.errors() == errors_before {
            report_empty(&name, &mut self.diagnostics);
        }
        let file = Arc::new(documents);
        self.parsed.insert(canonical.to_owned(), Arc::clone(&file));
        file
    }

    /// Adds the base documents of a document. Returns false if one of them cannot be used; this has been reported.
    fn extend(&mut self, document: &Document, path: &Path, chain: &mut Chain) -> bool {
        let mut is_whole = true;
        for (written, span) in decode::extends(&document.root) {
            let base = files::beside(path, &written);
            let added = self.add_base(&base, &written, span, path, chain);
            if let Err(problem) = added {
                is_whole = false;
                if let Some(problem) = problem {
                    self.diagnostics.push(*problem);
                }
            }
        }
        is_whole
    }

    /// Adds the documents for one item of `extends`.
    ///
    /// # Errors
    ///
    /// The file cannot be used. `None` if this has been reported.
    fn add_base(
        &mut self,
        path: &Path,
        written: &str,
        span: Span,
        from: &Path,
        chain: &mut Chain,
    ) -> Result<(), Option<Box<Problem>>> {
        let unusable = |error: FileError, chain: &Chain| {
            let (code, help) = match error.code {
                Code::Confined => (error.code, error.help),
                _ => (Code::Extends, "paths in `extends` are relative to the file"),
            };
            let message = format!("{}: {}", shown(path), error.message);
            let problem = Problem::at(span, code, message, help);
            Some(Box::new(match chain.files.len() {
                1 => problem,
                _ => problem.note(format!("`extends` chain: {}", chain.shown(0, path))),
            }))
        };
        let error =
            |code, message: String, help| Some(Box::new(Problem::at(span, code, message, help)));
        let canonical = files::base(path, from, written, &chain.root);
        let canonical = canonical.map_err(|error| unusable(error, chain))?;
        if let Some(at) = chain.files.iter().position(|(file, _)| *file == canonical) {
            let message = format!("`extends` cycle: {}", chain.shown(at, path));
            return Err(error(
                Code::ExtendsCycle,
                message,
                "remove one `extends` entry",
            ));
        }
        chain.visited += 1;
        if chain.visited > MAX_BASE_FILES {
            let message = format!("`extends` loads more than {MAX_BASE_FILES} files");
            let is_first = chain.visited == MAX_BASE_FILES + 1;
            return Err(error(Code::Extends, message, "extend fewer files").filter(|_| is_first));
        }
        let note = format!("extended by {}", self.diagnostics.sources.location(span));
        self.diagnostics.context = Some((span.source, note));
        let file = self.read(path, &canonical);
        self.diagnostics.context = None;
        let file = file.map_err(|error| unusable(error, chain))?;
        match file.as_slice() {
            [] => Err(None),
            [document] => {
                chain.files.push((canonical, shown(path)));
                let is_whole = self.extend(document, path, chain);
                chain.files.pop();
                chain.bases.push(Arc::clone(document));
                is_whole.then_some(()).ok_or(None)
            }
            [_, second, ..] => {
                let message = format!("{} contains several documents", shown(path));
                let help = "extend a file that contains one document";
                let problem = Problem::at(span, Code::Extends, message, help);
                let second = second.root.span;
                let problem = problem.related("", second, "start of the second document");
                Err(Some(Box::new(problem)))
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
            self.diagnostics.report_file(&limits, code, message, help);
        }
    }
}

/// Checks that account IDs and names are unique.
fn check_unique(declared: &[Declared], diagnostics: &mut Diagnostics) {
    let (mut accounts, mut names) = (BTreeMap::new(), BTreeMap::new());
    for one in declared {
        let (id, name) = (&one.account.account_id, one.account.label());
        if let Some(first) = accounts.insert(id, one.id_span) {
            let message = format!("account {id} is declared twice");
            let help = "merge the documents, or move common parts to a file for `extends`";
            let problem = Problem::at(one.id_span, Code::DuplicateAccount, message, help);
            diagnostics.push(problem.duplicates(first));
        } else if let Some(first) = names.insert(name, one.name_span) {
            let message = format!("account name `{name}` is used twice");
            let help = "give each account a unique `name`";
            let problem = Problem::at(one.name_span, Code::DuplicateName, message, help);
            diagnostics.push(problem.duplicates(first));
        }
    }
}
