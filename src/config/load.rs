//! Loads desired-state files: finds, reads and merges them, and validates all accounts together. Start with [`load`].
//!
//! All mistakes of all files are reported together. One invalid file rejects all files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use super::code::DiagnosticCode;
use super::diagnostic::{DiagnosticBuilder, DiagnosticSink, Diagnostics};
use super::files::{
    AllowedRoot, FileError, FileSelection, Files, FoundFile, OUTSIDE_ROOT_HELP, STDIN_PATH, beside,
    shown,
};
use super::kinds::account::{
    AccountIds, Extends, MergedAccount, ParsedDocument, VariableName, declare,
};
use super::kinds::text::{Environment, StringValue};
use super::kinds::variables::denied_variable;
use super::span::SourceId;
use super::yaml;
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::limits::{Limits, VariableDenied};

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
    /// Operator limits, which determine the variables that files may use.
    pub limits: &'a Limits,
    /// Looks up environment variables for `${NAME}`. Called only for variables that the limits allow.
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
pub fn load(request: &LoadOptions<'_>) -> Result<Loaded, Diagnostics> {
    let (accounts, mut found, files) = read(request, None);
    if accounts.is_empty() && found.errors() == 0 {
        let first = request.paths.first().map(|path| shown(path));
        let message = "only fragments found: files starting with `_` are used through `extends`";
        let draft = DiagnosticBuilder::of_file(
            DiagnosticCode::NothingToLoad,
            first.unwrap_or_default(),
            message,
        );
        found.push(draft.help("pass a file that declares an account"));
    }
    if found.errors() > 0 {
        return Err(found.finish());
    }
    Ok(Loaded {
        accounts,
        warnings: found.finish(),
        files,
    })
}

/// Checks all files and returns all diagnostics, also for fragments.
pub fn check(request: &LoadOptions<'_>) -> Checked {
    checked(read(request, None))
}

/// Checks text from standard input instead of files. Paths in `extends` are relative to the working directory.
pub fn validate_stdin(request: &LoadOptions<'_>, input: Vec<u8>) -> Checked {
    checked(read(request, Some(input)))
}

fn checked((accounts, found, files): ReadResult) -> Checked {
    Checked {
        accounts,
        diagnostics: found.finish(),
        files,
    }
}

type ReadResult = (Vec<DesiredAccount>, DiagnosticSink, Vec<PathBuf>);

fn read(request: &LoadOptions<'_>, input: Option<Vec<u8>>) -> ReadResult {
    let mut loader = Loader {
        files: Files::default(),
        found: DiagnosticSink::default(),
        environment: Environment {
            limits: request.limits,
            variable: Some(request.variables),
        },
        read: HashMap::new(),
        beneath: HashMap::new(),
    };
    let files = match input {
        Some(input) => loader.input(request, input),
        None => loader.files.find(
            request.paths,
            FileSelection::Accounts,
            request.confinement,
            &mut loader.found,
        ),
    };
    let accounts = loader.accounts(request, files);
    (accounts, loader.found, loader.read.into_keys().collect())
}

/// Parsed documents of a file.
struct ReadFile {
    layers: Vec<Arc<ParsedDocument>>,
}

/// Base documents of a document, lowest first. `None` if one of them could not be read; this has been reported.
type BaseLayers = Option<Vec<Arc<ParsedDocument>>>;

struct Loader<'a> {
    files: Files,
    found: DiagnosticSink,
    environment: Environment<'a>,
    /// Files by canonical path, so that a base file is read once for all files that extend it.
    read: HashMap<PathBuf, Arc<ReadFile>>,
    /// Base documents of a base file, including itself, by root and canonical path.
    beneath: HashMap<(Arc<Path>, PathBuf), BaseLayers>,
}

impl Loader<'_> {
    fn accounts(
        &mut self,
        request: &LoadOptions<'_>,
        files: Vec<FoundFile>,
    ) -> Vec<DesiredAccount> {
        let ids = AccountIds {
            flag: request.account_id.clone(),
            default: request.default_account_id.clone(),
        };
        let mut declared = Vec::new();
        self.check_limits_location(request.limits, &files);
        for found in files {
            let FoundFile {
                path,
                canonical,
                root,
            } = found;
            let Some(file) = self.root(&path, &canonical) else {
                continue;
            };
            for layer in &file.layers {
                let mut chain = ExtendsChain {
                    root: Arc::clone(&root),
                    links: vec![ExtendsLink::new(&canonical, &path)],
                };
                let Some(mut layers) = self.extended(layer, &path, &mut chain) else {
                    continue;
                };
                if is_fragment(&path) {
                    continue;
                }
                layers.push(Arc::clone(layer));
                let context = format!("merged into {}", shown(&path));
                let outer = self.found.within(layer.span.source, context);
                declared.extend(declare(&layers, &ids, request.today, &mut self.found));
                self.found.restore(outer);
            }
        }
        self.check_token_variables();
        check_fleet(&declared, &mut self.found);
        let mut accounts: Vec<_> = declared.into_iter().map(|one| one.account).collect();
        accounts.sort_by(|a, b| (&a.source, &a.account_id).cmp(&(&b.source, &b.account_id)));
        accounts
    }

    /// Parses standard input as a file.
    fn input(&mut self, request: &LoadOptions<'_>, input: Vec<u8>) -> Vec<FoundFile> {
        match request.confinement.input() {
            Ok(file) => {
                self.decode(&file.path, &file.canonical, input);
                vec![file]
            }
            Err(refused) => {
                self.found.push(refused.of_file(Path::new(STDIN_PATH)));
                Vec::new()
            }
        }
    }

    /// Reads a file given by the user or found in a directory.
    fn root(&mut self, path: &Path, canonical: &Path) -> Option<Arc<ReadFile>> {
        if let Some(file) = self.read.get(canonical) {
            return Some(Arc::clone(file));
        }
        match self.files.read(canonical) {
            Ok(bytes) => Some(self.decode(path, canonical, bytes)),
            Err(refused) => {
                self.found.push(refused.of_file(path));
                None
            }
        }
    }

    /// Parses the content of a file.
    fn decode(&mut self, path: &Path, canonical: &Path, bytes: Vec<u8>) -> Arc<ReadFile> {
        let errors_before = self.found.errors();
        let mut layers = Vec::new();
        if let Some(source) = self.text(path, bytes) {
            yaml::each(source, &mut self.found, |document, found| {
                // Empty documents are allowed, because editors and templates create them.
                if !document.root.is_null() {
                    let layer = ParsedDocument::read(&document, found, self.environment);
                    layers.push(Arc::new(layer));
                }
            });
            if layers.is_empty() && self.found.errors() == errors_before {
                let draft = DiagnosticBuilder::of_file(
                    DiagnosticCode::EmptyDocument,
                    shown(path),
                    "the file is empty",
                );
                self.found
                    .push(draft.help("start the file with `version: 1`, or remove it"));
            }
        }
        let file = Arc::new(ReadFile { layers });
        self.read.insert(canonical.to_owned(), Arc::clone(&file));
        file
    }

    /// Registers the text of a file. Reports an error if it is not valid text.
    fn text(&mut self, path: &Path, bytes: Vec<u8>) -> Option<SourceId> {
        let name: Arc<str> = shown(path).into();
        super::text::register(name, bytes, &mut self.found)
    }

    /// Returns the base documents of a document. `chain` leads from the file given by the user to the file of the document.
    fn extended(
        &mut self,
        layer: &ParsedDocument,
        path: &Path,
        chain: &mut ExtendsChain,
    ) -> BaseLayers {
        let mut layers = Vec::new();
        let mut complete = true;
        let extends = layer.layer.extends.value();
        for item in extends.map(|Extends(files)| files).into_iter().flatten() {
            match self.fragment(item, path, chain) {
                Some(beneath) => layers.extend(beneath),
                None => complete = false,
            }
            if layers.len() > MAX_EXTENDED_FILES {
                self.found.push(too_many(item));
                return None;
            }
        }
        complete.then_some(layers)
    }

    /// Returns the documents for one item of `extends`, the file itself last.
    fn fragment(
        &mut self,
        item: &StringValue,
        from: &Path,
        chain: &mut ExtendsChain,
    ) -> BaseLayers {
        let path = beside(from, &item.value);
        let canonical = self.files.fragment(&path, from, &item.value, &chain.root);
        let canonical = match canonical {
            Ok(canonical) => canonical,
            Err(refused) => {
                self.refuse(item, &refused, &path, &chain.links);
                return None;
            }
        };
        let links = &chain.links;
        if let Some(at) = links.iter().position(|link| link.canonical == canonical) {
            let cycle = shown_chain(&links[at..], &path);
            let message = format!("`extends` cycle: {cycle}");
            let draft = DiagnosticBuilder::new(DiagnosticCode::ExtendsCycle, item.span, message);
            self.found.push(draft.help("remove one `extends` entry"));
            return None;
        }
        let place = (Arc::clone(&chain.root), canonical);
        if let Some(beneath) = self.beneath.get(&place) {
            return beneath.clone();
        }
        if links.len() > MAX_EXTENDED_FILES {
            self.found.push(too_many(item));
            return None;
        }
        chain.links.push(ExtendsLink::new(&place.1, &path));
        let beneath = self.load_base(item, &path, &place.1, chain);
        chain.links.pop();
        self.beneath.insert(place, beneath.clone());
        beneath
    }

    fn load_base(
        &mut self,
        item: &StringValue,
        path: &Path,
        canonical: &Path,
        chain: &mut ExtendsChain,
    ) -> BaseLayers {
        let file = match self.read.get(canonical) {
            Some(file) => Arc::clone(file),
            None => match self.files.read(canonical) {
                Ok(bytes) => {
                    let puller = self.found.sources.location(item.span);
                    let context = format!("extended by {puller}");
                    let outer = self.found.within(item.span.source, context);
                    let file = self.decode(path, canonical, bytes);
                    self.found.restore(outer);
                    file
                }
                Err(refused) => {
                    self.refuse(item, &refused, path, &chain.links);
                    return None;
                }
            },
        };
        match file.layers.as_slice() {
            // Already reported.
            [] => None,
            [layer] => {
                let mut layers = self.extended(layer, path, chain)?;
                layers.push(Arc::clone(layer));
                Some(layers)
            }
            [_, second, ..] => {
                self.found.push(
                    DiagnosticBuilder::new(
                        DiagnosticCode::Extends,
                        item.span,
                        format!("{} contains several documents", shown(path)),
                    )
                    .also(second.span, "start of the second document")
                    .help("extend a file that contains one document"),
                );
                None
            }
        }
    }

    fn refuse(
        &mut self,
        item: &StringValue,
        refused: &FileError,
        path: &Path,
        chain: &[ExtendsLink],
    ) {
        let (rule, help) = match refused {
            FileError::Outside(_) | FileError::InsideGitDir => {
                (DiagnosticCode::Confined, OUTSIDE_ROOT_HELP)
            }
            _ => (
                DiagnosticCode::Extends,
                "paths in `extends` are relative to the file",
            ),
        };
        let message = format!("{}: {refused}", shown(path));
        let mut draft = DiagnosticBuilder::new(rule, item.span, message).help(help);
        if chain.len() > 1 {
            draft = draft.note(format!("`extends` chain: {}", shown_chain(chain, path)));
        }
        self.found.push(draft);
    }

    /// Warns if users who can edit the files can edit the limits as well.
    fn check_limits_location(&mut self, limits: &Limits, files: &[FoundFile]) {
        let Some(source) = &limits.source else {
            return;
        };
        let canonical = source.canonicalize();
        let beneath = |file: &FoundFile| {
            canonical
                .as_ref()
                .is_ok_and(|one| one.starts_with(&file.root))
        };
        if let Some(file) = files.iter().find(|file| beneath(file)) {
            let (limits, root) = (shown(source), shown(&file.root));
            let message = format!(
                "the limits file {limits} is inside {root}, so anyone who can edit the files can edit it"
            );
            let draft =
                DiagnosticBuilder::of_file(DiagnosticCode::LimitsBeneathRoot, limits, message);
            self.found.push(
                draft.help(
                    "move the limits file to a place that authors of the files cannot change",
                ),
            );
        }
    }

    /// Reports uses of variables that any file names in `api_token_env`.
    fn check_token_variables(&mut self) {
        let layers = || self.read.values().flat_map(|file| &file.layers);
        let tokens: HashSet<&str> = layers()
            .filter_map(|layer| layer.layer.api_token_env.value())
            .map(|VariableName(name)| name.as_str())
            .collect();
        for variable in layers().flat_map(|layer| &layer.variables) {
            if tokens.contains(variable.name.as_str()) {
                self.found.push(denied_variable(
                    VariableDenied::Secret,
                    &variable.name,
                    variable.span,
                ));
            }
        }
    }
}

fn too_many(item: &StringValue) -> DiagnosticBuilder {
    let message = format!("`extends` loads more than {MAX_EXTENDED_FILES} files");
    DiagnosticBuilder::new(DiagnosticCode::Extends, item.span, message).help("extend fewer files")
}

/// Chain of `extends` from the file given by the user to the current file.
struct ExtendsChain {
    /// Root directory of all files in the chain.
    root: Arc<Path>,
    links: Vec<ExtendsLink>,
}

/// A file in a chain of `extends`.
struct ExtendsLink {
    canonical: PathBuf,
    shown: String,
}

impl ExtendsLink {
    fn new(canonical: &Path, path: &Path) -> Self {
        ExtendsLink {
            canonical: canonical.to_owned(),
            shown: shown(path),
        }
    }
}

fn shown_chain(chain: &[ExtendsLink], last: &Path) -> String {
    let last = shown(last);
    let links = chain.iter().map(|link| link.shown.as_str());
    let links: Vec<&str> = links.chain([last.as_str()]).collect();
    links.join(" → ")
}

fn is_fragment(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"_"))
}

/// Checks that account IDs and names are unique.
fn check_fleet(declared: &[MergedAccount], found: &mut DiagnosticSink) {
    let (mut accounts, mut names) = (BTreeMap::new(), BTreeMap::new());
    for one in declared {
        let account = &one.account;
        if let Some(first) = accounts.insert(&account.account_id, one) {
            found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::DuplicateAccount,
                    one.id_span,
                    format!("account {} is declared twice", account.account_id),
                )
                .label("duplicate")
                .also(first.id_span, "first occurrence")
                .help("merge the documents, or move common parts to a file for `extends`"),
            );
        } else if let Some(first) = names.insert(account.label(), one) {
            let first: &MergedAccount = first;
            found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::DuplicateName,
                    one.name_span,
                    format!("account name `{}` is used twice", account.label()),
                )
                .label("duplicate")
                .also(first.name_span, "first occurrence")
                .help("give each account a unique `name`"),
            );
        }
    }
}
