//! Loads desired-state files: finds, reads, checks and merges them, and validates all accounts together. Start with [`load`].
//!
//! All mistakes of all files are reported together. One invalid file rejects all files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use serde::Deserialize;

use super::code::DiagnosticCode as Code;
use super::decode::{self, AccountIds, Declared};
use super::diagnostic::{Diagnostics, Problem, Resource};
use super::files::{
    self, AllowedRoot, FileError, FileSelection, Files, FoundFile, OUTSIDE_ROOT_HELP, STDIN_PATH,
    shown,
};
use super::merge::merge;
use super::shape::{DOCUMENT, LIMITS};
use super::span::{Sources, Span};
use super::variables::Lookup;
use super::yaml::{self, Document, Node, Value};
use crate::model::account::{AccountId, DesiredAccount, GuardMode, PolicyGuardMode, ProtectedItem};
use crate::model::limits::{DeleteAllPolicy, Limits};

/// Maximum number of base files of one account, on all levels.
pub const MAX_EXTENDED_FILES: usize = 64;

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
    /// Operator limits. Their file must not be inside the root.
    pub limits: &'a Limits,
    /// Looks up environment variables for `${NAME}`. Called only for variables that files may use.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// Current date (UTC), to check the `until` dates of `ignore_changes`.
    pub today: Date,
}

/// Result of loading.
#[derive(Debug)]
pub struct Loaded {
    /// Accounts, sorted by source, then by account ID. Not empty.
    pub accounts: Vec<DesiredAccount>,
    /// Warnings.
    pub warnings: Diagnostics,
    /// Canonical paths of all files that were read.
    pub files: Vec<PathBuf>,
}

/// Result of checking.
#[derive(Debug)]
pub struct Checked {
    /// Accounts that could be read despite mistakes.
    pub accounts: Vec<DesiredAccount>,
    pub diagnostics: Diagnostics,
    /// Canonical paths of all files that were read.
    pub files: Vec<PathBuf>,
}

/// Loads all files.
///
/// # Errors
///
/// All mistakes in the files.
pub fn load(options: &LoadOptions<'_>) -> Result<Loaded, Box<Diagnostics>> {
    let Checked {
        accounts,
        mut diagnostics,
        files,
    } = check(options);
    if accounts.is_empty() && diagnostics.errors() == 0 {
        let first = options.paths.first().map(|path| shown(path));
        let message = "only fragments found: files starting with `_` are used through `extends`";
        let help = "pass a file that declares an account";
        let first = first.unwrap_or_default();
        diagnostics.report(first.as_str(), Code::NothingToLoad, message, help);
    }
    match diagnostics.errors() {
        0 => Ok(Loaded {
            accounts,
            warnings: diagnostics,
            files,
        }),
        _ => Err(Box::new(diagnostics)),
    }
}

/// Checks all files and returns all diagnostics, also for fragments.
pub fn check(options: &LoadOptions<'_>) -> Checked {
    let mut loader = Loader::new(options);
    let files = loader.files.find(
        options.paths,
        FileSelection::Accounts,
        options.confinement,
        &mut loader.diagnostics,
    );
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
            let problem = error.of_file(Path::new(STDIN_PATH));
            loader.diagnostics.push(problem);
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
    match limits {
        Some(limits) if diagnostics.errors() == 0 => Ok(limits),
        Some(_) | None => Err(Box::new(diagnostics)),
    }
}

/// A limits file. Its values have been checked.
#[derive(Deserialize)]
struct LimitsFile {
    #[serde(default)]
    guards: LimitGuards,
    allowed_tenants: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LimitGuards {
    max_deletes: Option<u32>,
    delete_all: Option<DeleteAllPolicy>,
    weakening: GuardMode,
    policies: PolicyGuardMode,
    protected: Vec<ProtectedItem>,
}

fn read_limits(path: &Path, diagnostics: &mut Diagnostics) -> Option<Limits> {
    let name = shown(path);
    let bytes = match Files::default().read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            diagnostics.push(error.of_file(path));
            return None;
        }
    };
    let source = files::register(&name, bytes, diagnostics)?;
    let mut documents = yaml::parse(source, diagnostics).into_iter();
    let first = documents.next().filter(|document| !document.root.is_null());
    for document in documents {
        let message = "the limits file contains several documents";
        let help = "move everything into the first document";
        diagnostics.report(document.root.span, Code::WrongType, message, help);
    }
    let Some(first) = first else {
        let message = "the limits file is empty";
        let help = "start the file with `version: 1`";
        if diagnostics.errors() == 0 {
            diagnostics.report(name.as_str(), Code::EmptyDocument, message, help);
        }
        return None;
    };
    let limits = decode::check(&first, &LIMITS, "limits", None, diagnostics)?;
    let LimitsFile {
        guards,
        allowed_tenants,
    } = serde_yaml::from_value(limits).ok()?;
    Some(Limits {
        source: Some(path.to_owned()),
        max_deletes: guards.max_deletes,
        delete_all: guards.delete_all,
        weakening: guards.weakening,
        policies: guards.policies,
        protected: guards.protected,
        allowed_tenants,
    })
}

/// Documents of a file.
type ParsedFile = Arc<Vec<Arc<Document>>>;

/// Base documents of a document, lowest first. `None` if one of them could not be read; this has been reported.
type BaseDocuments = Option<Vec<Arc<Document>>>;

struct Loader<'a> {
    options: &'a LoadOptions<'a>,
    files: Files,
    diagnostics: Diagnostics,
    /// Files by canonical path, so that a base file is read once for all files that extend it.
    parsed: HashMap<PathBuf, ParsedFile>,
    /// Base documents of a base file, including itself, by root and canonical path.
    bases: HashMap<(Arc<Path>, PathBuf), BaseDocuments>,
}

/// Chain of `extends` from the file given by the user to the current file: canonical and shown paths.
struct Chain {
    /// Root directory of all files in the chain.
    root: Arc<Path>,
    files: Vec<(PathBuf, String)>,
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
            bases: HashMap::new(),
        }
    }

    fn accounts(mut self, files: Vec<FoundFile>) -> Checked {
        self.check_limits_location(&files);
        let mut declared = Vec::new();
        for file in files {
            let Some(documents) = self.read(&file.path, &file.canonical) else {
                continue;
            };
            for document in documents.iter() {
                let mut chain = Chain {
                    root: Arc::clone(&file.root),
                    files: vec![(file.canonical.clone(), shown(&file.path))],
                };
                let Some(mut layers) = self.extended(document, &file.path, &mut chain) else {
                    continue;
                };
                if !files::is_fragment(&file.path) {
                    layers.push(Arc::clone(document));
                    declared.extend(self.account(&layers, &file.path));
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

    /// Merges and decodes the documents of an account, base documents first.
    fn account(&mut self, layers: &[Arc<Document>], path: &Path) -> Option<Declared> {
        let (first, overriding) = layers.split_first()?;
        let own = layers.last()?.root.span;
        // A document that was cut short may only seem to lack something.
        if !layers.iter().all(|document| document.is_complete) {
            return None;
        }
        let mut merged: Option<Node> = None;
        for document in overriding {
            let size = entry_count(&document.root);
            if !self.diagnostics.spend(Resource::Declared, size, own) {
                return None;
            }
            let base = merged.unwrap_or_else(|| first.root.clone());
            merged = Some(merge(base, &document.root, &DOCUMENT));
        }
        let tree = merged.as_ref().unwrap_or(&first.root);
        if !self
            .diagnostics
            .spend(Resource::Declared, entry_count(&first.root), own)
        {
            return None;
        }
        let ids = AccountIds {
            flag: self.options.account_id.clone(),
            default: self.options.default_account_id.clone(),
        };
        let context = Some((own.source, format!("merged into {}", shown(path))));
        let outer = self.diagnostics.set_context(context);
        let (lookup, today): (Lookup<'_>, _) = (self.options.variables, self.options.today);
        let declared = decode::account(tree, &ids, lookup, today, &mut self.diagnostics);
        self.diagnostics.set_context(outer);
        declared
    }

    /// Reads a file given by the user or found in a directory.
    fn read(&mut self, path: &Path, canonical: &Path) -> Option<ParsedFile> {
        if let Some(file) = self.parsed.get(canonical) {
            return Some(Arc::clone(file));
        }
        match self.files.read(canonical) {
            Ok(bytes) => Some(self.parse(path, canonical, bytes)),
            Err(error) => {
                self.diagnostics.push(error.of_file(path));
                None
            }
        }
    }

    /// Parses and checks the content of a file.
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
                decode::check(
                    &document,
                    &DOCUMENT,
                    "the document",
                    Some(lookup),
                    &mut self.diagnostics,
                );
                document.is_complete &= matches!(document.root.value, Value::Map(_));
                documents.push(Arc::new(document));
            }
        }
        if documents.is_empty() && self.diagnostics.errors() == errors_before {
            let help = "start the file with `version: 1`, or remove it";
            self.diagnostics.report(
                name.as_str(),
                Code::EmptyDocument,
                "the file is empty",
                help,
            );
        }
        let file = Arc::new(documents);
        self.parsed.insert(canonical.to_owned(), Arc::clone(&file));
        file
    }

    /// Returns the base documents of a document.
    fn extended(&mut self, document: &Document, path: &Path, chain: &mut Chain) -> BaseDocuments {
        let mut layers = Some(Vec::new());
        for (written, span) in decode::extends(&document.root) {
            let base = self.base(&written, span, path, chain);
            layers = layers.zip(base).map(|(mut layers, base)| {
                layers.extend(base);
                layers
            });
            if layers
                .as_ref()
                .is_some_and(|layers| layers.len() > MAX_EXTENDED_FILES)
            {
                self.report_too_many(span);
                return None;
            }
        }
        layers
    }

    /// Returns the documents for one item of `extends`, the file itself last.
    fn base(&mut self, written: &str, span: Span, from: &Path, chain: &mut Chain) -> BaseDocuments {
        let path = files::beside(from, written);
        let canonical = match self.files.fragment(&path, from, written, &chain.root) {
            Ok(canonical) => canonical,
            Err(error) => {
                self.report_unusable(span, &error, &path, chain);
                return None;
            }
        };
        if let Some(at) = chain.files.iter().position(|(file, _)| *file == canonical) {
            let message = format!("`extends` cycle: {}", chain.shown(at, &path));
            let help = "remove one `extends` entry";
            self.diagnostics
                .report(span, Code::ExtendsCycle, message, help);
            return None;
        }
        let key = (Arc::clone(&chain.root), canonical);
        if let Some(bases) = self.bases.get(&key) {
            return bases.clone();
        }
        if chain.files.len() > MAX_EXTENDED_FILES {
            self.report_too_many(span);
            return None;
        }
        chain.files.push((key.1.clone(), shown(&path)));
        let bases = self.load_base(span, &path, &key.1, chain);
        chain.files.pop();
        self.bases.insert(key, bases.clone());
        bases
    }

    fn load_base(
        &mut self,
        span: Span,
        path: &Path,
        canonical: &Path,
        chain: &mut Chain,
    ) -> BaseDocuments {
        let file = match self.parsed.get(canonical) {
            Some(file) => Arc::clone(file),
            None => match self.files.read(canonical) {
                Ok(bytes) => {
                    let note = format!("extended by {}", self.diagnostics.sources.location(span));
                    let outer = self.diagnostics.set_context(Some((span.source, note)));
                    let file = self.parse(path, canonical, bytes);
                    self.diagnostics.set_context(outer);
                    file
                }
                Err(error) => {
                    self.report_unusable(span, &error, path, chain);
                    return None;
                }
            },
        };
        match file.as_slice() {
            // Already reported.
            [] => None,
            [document] => {
                let mut layers = self.extended(document, path, chain)?;
                layers.push(Arc::clone(document));
                Some(layers)
            }
            [_, second, ..] => {
                let message = format!("{} contains several documents", shown(path));
                let help = "extend a file that contains one document";
                let problem = Problem::at(span, Code::Extends, message, help);
                let second = second.root.span;
                self.diagnostics
                    .push(problem.related("", second, "start of the second document"));
                None
            }
        }
    }

    fn report_unusable(&mut self, span: Span, error: &FileError, path: &Path, chain: &Chain) {
        let (code, help) = match error {
            FileError::Outside(_) | FileError::InsideGitDir => (Code::Confined, OUTSIDE_ROOT_HELP),
            _ => (Code::Extends, "paths in `extends` are relative to the file"),
        };
        let mut problem = Problem::at(span, code, format!("{}: {error}", shown(path)), help);
        if chain.files.len() > 1 {
            problem = problem.note(format!("`extends` chain: {}", chain.shown(0, path)));
        }
        self.diagnostics.push(problem);
    }

    fn report_too_many(&mut self, span: Span) {
        let message = format!("`extends` loads more than {MAX_EXTENDED_FILES} files");
        self.diagnostics
            .report(span, Code::Extends, message, "extend fewer files");
    }

    /// Warns if users who can edit the files can edit the limits as well.
    fn check_limits_location(&mut self, files: &[FoundFile]) {
        let Some(source) = &self.options.limits.source else {
            return;
        };
        let canonical = source.canonicalize();
        let is_inside = |file: &&FoundFile| {
            canonical
                .as_ref()
                .is_ok_and(|path| path.starts_with(&file.root))
        };
        if let Some(file) = files.iter().find(is_inside) {
            let (limits, root) = (shown(source), shown(&file.root));
            let message = format!(
                "the limits file {limits} is inside {root}, so anyone who can edit the files can edit it"
            );
            let help = "move the limits file to a place that authors of the files cannot change";
            self.diagnostics
                .report(limits.as_str(), Code::LimitsBeneathRoot, message, help);
        }
    }
}

/// Returns the number of entries and `protected` items that an account inherits from a document.
fn entry_count(root: &Node) -> usize {
    let protected = root
        .get("guards")
        .and_then(|guards| guards.get("protected"));
    let protected = match protected.map(|node| &node.value) {
        Some(Value::List(items)) => items.len(),
        _ => 0,
    };
    root.entries()
        .iter()
        .map(|entry| entry.node.entries().len())
        .sum::<usize>()
        + protected
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
