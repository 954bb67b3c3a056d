//! Loads desired-state files: finds them, reads them within bounds, lays them over each other, and judges the fleet as a whole.
//!
//! Every mistake of every file is reported in one go, and one bad file refuses all of them.

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

/// How many files one account may pull in through `extends`, all levels together.
pub const MAX_EXTENDED_FILES: usize = 64;

/// What to load, and what the files may refer to.
pub struct LoadOptions<'a> {
    /// Files and directories, as the user named them.
    pub paths: &'a [PathBuf],
    /// The account of the command line: stands in for a file that names none, and must not disagree with one that does.
    pub account_id: Option<AccountId>,
    /// The account of the environment: only stands in.
    pub default_account_id: Option<AccountId>,
    /// Where the files may stand.
    pub confinement: &'a AllowedRoot,
    /// The operator's limits: which variables files may name.
    pub limits: &'a Limits,
    /// The environment, for `${NAME}`. It is never asked for a variable that the limits don't permit.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// The day, in UTC, by which an `until` has passed or not.
    pub today: Date,
}

/// What the files declare.
#[derive(Debug)]
pub struct Loaded {
    /// The accounts, sorted by source, then by account id. At least one.
    pub accounts: Vec<DesiredAccount>,
    /// What somebody should look at all the same.
    pub warnings: Diagnostics,
}

/// Loads every file, or says everything that is wrong with them.
pub fn load(request: &LoadOptions<'_>) -> Result<Loaded, Diagnostics> {
    let (accounts, mut found) = read(request, None);
    if accounts.is_empty() && found.errors() == 0 {
        let first = request.paths.first().map(|path| shown(path));
        let message = "nothing but fragments: a file whose name begins with `_` declares no account by itself";
        let draft = DiagnosticBuilder::of_file(
            DiagnosticCode::NothingToLoad,
            first.unwrap_or_default(),
            message,
        );
        found.push(draft.help("name a file that declares an account"));
    }
    if found.errors() > 0 {
        return Err(found.finish());
    }
    Ok(Loaded {
        accounts,
        warnings: found.finish(),
    })
}

/// Checks every file, fragments by themselves as well, and says everything there is to say. The accounts are those that came of the files
/// in spite of it.
pub fn check(request: &LoadOptions<'_>) -> (Vec<DesiredAccount>, Diagnostics) {
    let (accounts, found) = read(request, None);
    (accounts, found.finish())
}

/// Checks what was read from standard input in place of files. It stands in the working folder, as far as `extends` is concerned.
pub fn validate_stdin(
    request: &LoadOptions<'_>,
    input: Vec<u8>,
) -> (Vec<DesiredAccount>, Diagnostics) {
    let (accounts, found) = read(request, Some(input));
    (accounts, found.finish())
}

fn read(
    request: &LoadOptions<'_>,
    input: Option<Vec<u8>>,
) -> (Vec<DesiredAccount>, DiagnosticSink) {
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
    (accounts, loader.found)
}

/// A file that was read.
struct ReadFile {
    layers: Vec<Arc<ParsedDocument>>,
}

/// The files laid beneath a document, lowest first; `None` when one of them could not be had, which has been reported.
type BaseLayers = Option<Vec<Arc<ParsedDocument>>>;

struct Loader<'a> {
    files: Files,
    found: DiagnosticSink,
    environment: Environment<'a>,
    /// By canonical path, so that a baseline is read once however many files extend it.
    read: HashMap<PathBuf, Arc<ReadFile>>,
    /// By root and canonical path: what lies beneath a file that is extended, itself included.
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
                let context = format!("in what {} declares", shown(&path));
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

    /// Takes standard input for a file.
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

    /// Reads a file that the user named, or that was found in a directory.
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

    /// Decodes what a file holds.
    fn decode(&mut self, path: &Path, canonical: &Path, bytes: Vec<u8>) -> Arc<ReadFile> {
        let errors_before = self.found.errors();
        let mut layers = Vec::new();
        if let Some(source) = self.text(path, bytes) {
            yaml::each(source, &mut self.found, |document, found| {
                // Editors and templates leave empty documents behind; they declare nothing and harm nothing.
                if !document.root.is_null() {
                    let layer = ParsedDocument::read(&document, found, self.environment);
                    layers.push(Arc::new(layer));
                }
            });
            if layers.is_empty() && self.found.errors() == errors_before {
                let draft = DiagnosticBuilder::of_file(
                    DiagnosticCode::EmptyDocument,
                    shown(path),
                    "the file declares nothing",
                );
                self.found
                    .push(draft.help("begin it with `version: 1`, or remove it"));
            }
        }
        let file = Arc::new(ReadFile { layers });
        self.read.insert(canonical.to_owned(), Arc::clone(&file));
        file
    }

    /// Registers the text of a file, or reports why it is none.
    fn text(&mut self, path: &Path, bytes: Vec<u8>) -> Option<SourceId> {
        let name: Arc<str> = shown(path).into();
        super::text::register(name, bytes, &mut self.found)
    }

    /// The layers beneath a document. `chain` leads from the file the user named to the one the document stands in.
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

    /// The layers of one item of `extends`, the file itself on top.
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
            let message = format!("files that extend each other: {cycle}");
            let draft = DiagnosticBuilder::new(DiagnosticCode::ExtendsCycle, item.span, message);
            self.found
                .push(draft.help("take one of them out of `extends`"));
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
                    let context = format!("pulled in by {puller}");
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
            // Why it holds none has been reported.
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
                        format!("{} holds several documents", shown(path)),
                    )
                    .also(second.span, "the second one begins here")
                    .help("extend a file with one document"),
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
                "a path in `extends` is relative to the file that it stands in",
            ),
        };
        let message = format!("{}: {refused}", shown(path));
        let mut draft = DiagnosticBuilder::new(rule, item.span, message).help(help);
        if chain.len() > 1 {
            draft = draft.note(format!("the chain is {}", shown_chain(chain, path)));
        }
        self.found.push(draft);
    }

    /// Warns where whoever may change the files may change the limits as well.
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
                "the limits {limits} stand beneath {root}, as the files that they limit do"
            );
            let draft =
                DiagnosticBuilder::of_file(DiagnosticCode::LimitsBeneathRoot, limits, message);
            self.found
                .push(draft.help("keep them where whoever may change the files can't change them"));
        }
    }

    /// Refuses the variables that some file of the fleet names as its token's, wherever another file uses them.
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
    let message = format!("extends pulls in more than {MAX_EXTENDED_FILES} files");
    DiagnosticBuilder::new(DiagnosticCode::Extends, item.span, message).help("extend fewer files")
}

/// The way from the file that the user named to the one that is read.
struct ExtendsChain {
    /// The folder that none of them leads out of.
    root: Arc<Path>,
    links: Vec<ExtendsLink>,
}

/// One file on the way from the one that the user named.
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

/// Judges what only several accounts together can get wrong.
fn check_fleet(declared: &[MergedAccount], found: &mut DiagnosticSink) {
    let (mut accounts, mut names) = (BTreeMap::new(), BTreeMap::new());
    for one in declared {
        let account = &one.account;
        if let Some(first) = accounts.insert(&account.account_id, one) {
            found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::DuplicateAccount,
                    one.id_span,
                    format!("two documents for the account {}", account.account_id),
                )
                .label("again here")
                .also(first.id_span, "first here")
                .help("one account is one document: join them, or share what they have in common through `extends`"),
            );
        } else if let Some(first) = names.insert(account.label(), one) {
            let first: &MergedAccount = first;
            found.push(
                DiagnosticBuilder::new(
                    DiagnosticCode::DuplicateName,
                    one.name_span,
                    format!("two accounts are called `{}`", account.label()),
                )
                .label("again here")
                .also(first.name_span, "first here")
                .help("give each account a `name` of its own"),
            );
        }
    }
}
