//! The first stretch of the pipeline, for one account or many: load, read live, plan.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::cli::flags::{Expected, Fleet, Paths};
use crate::cli::io::ci;
use crate::cli::io::environment::interpolated;
use crate::cli::io::output::Output;
use crate::cli::io::progress::Progress;
use crate::cli::run::context::{self, ContextArguments};
use crate::cli::run::ending::{Error, account_error};
use crate::cli::run::session::Session;
use crate::cli::run::surroundings::{self, Surroundings};
use crate::config::diagnostic::Color;
use crate::config::load::{self, LoadRequest};
use crate::model::account::{DesiredAccount, LiveAccount};
use crate::model::address::Address;
use crate::model::context::IdentityProvider;
use crate::model::limits::UNLIMITED;
use crate::model::shard::Shard;
use crate::model::text::count;
use crate::plan::{
    AccountError, AccountPlan, FailureKind, Format, Glob, Intent, Named, Options, PlanErrors, Run,
    Scope, needs_identity_providers, plan, resolve_identity_providers,
};

/// Loads the files; warnings are shown, mistakes refuse the whole fleet.
pub(crate) fn load(
    fleet: &Fleet,
    surroundings: &Surroundings,
    output: &Output,
) -> Result<Vec<DesiredAccount>, Error> {
    look_at_paths(&fleet.desired.paths.paths)?;
    let loaded = load::load(&surroundings.request(&fleet.desired)?).map_err(Error::Files)?;
    if !loaded.warnings.is_empty() {
        output.say(loaded.warnings.render(Color::Ansi).trim_end());
        ci::diagnose(output, &loaded.warnings);
    }
    let mut accounts = loaded.accounts;
    expect(&fleet.desired.expected, accounts.len())?;
    if let Some(shard) = fleet.shard {
        accounts.retain(|account| shard.holds(&account.account_id));
        if accounts.is_empty() {
            output.say(format_args!("no account is in shard {shard}"));
        }
    }
    tracing::info!(accounts = accounts.len(), "loaded the files");
    Ok(accounts)
}

/// Refuses what is no mistake in a file, but the wrong file.
pub(crate) fn look_at_paths(paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        if path == Path::new(Paths::USUAL) && fs::symlink_metadata(path).is_err() {
            return Err(Error::NoFile { nearby: nearby() });
        }
        if is_saved_plan(path) {
            return Err(Error::Usage(format!(
                "{path} is a saved plan, not a desired-state file; riskform apply --plan {path} carries it out, riskform show {path} shows it",
                path = path.display()
            )));
        }
    }
    Ok(())
}

/// What looks like a desired-state file, in this folder and in those below.
fn nearby() -> Vec<String> {
    const MOST: usize = 5;
    let files = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let named = |path: PathBuf| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| named(entry.path()))
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
            })
            .collect();
        paths.sort();
        paths
    };
    let here = files(Path::new("."));
    let below = here
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|folder| files(folder));
    here.iter()
        .cloned()
        .chain(below)
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
        })
        .filter(|path| {
            reads_as(path, |text| {
                text.lines().any(|line| line.starts_with("version: 1"))
            })
        })
        .map(|path| path.display().to_string())
        .take(MOST)
        .collect()
}

fn is_saved_plan(path: &Path) -> bool {
    reads_as(path, |text| {
        text.trim_start().starts_with('{') && text.contains("\"riskform.plan/")
    })
}

/// Whether the beginning of a file is like that.
fn reads_as(path: &Path, like: impl Fn(&str) -> bool) -> bool {
    const BEGINNING: u64 = 4096;
    let mut text = Vec::new();
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let mut read = || File::open(path)?.take(BEGINNING).read_to_end(&mut text);
    is_file && read().is_ok() && like(&String::from_utf8_lossy(&text))
}

/// The addresses that files declare, as far as they can be loaded.
pub(crate) fn addresses(paths: &[PathBuf]) -> BTreeSet<String> {
    let request = LoadRequest {
        paths,
        account_id: None,
        default_account_id: surroundings::default_id().ok().flatten(),
        confinement: &surroundings::confinement(None),
        limits: &UNLIMITED,
        variables: &interpolated,
        today: surroundings::today(),
    };
    let (accounts, _) = load::check(&request);
    let behaviors = accounts.iter().flat_map(|account| account.behaviors.keys());
    let integrations = accounts
        .iter()
        .flat_map(|account| account.integrations.keys());
    behaviors
        .map(|key| format!("behavior.{key}"))
        .chain(integrations.map(|name| format!("integration.{name}")))
        .collect()
}

/// Refuses another number of accounts than the command line names.
///
/// What was lost on the way to a machine, such as a folder that a mount leaves out, would else go unseen.
pub(crate) fn expect(expected: &Expected, found: usize) -> Result<(), Error> {
    match expected.expect_accounts {
        Some(expected) if expected != found => Err(Error::Other(anyhow::anyhow!(
            "{} declared, and --expect-accounts names {expected}",
            count(found, "account")
        ))),
        Some(_) | None => Ok(()),
    }
}

/// How the accounts of a run are planned.
pub(crate) struct Planning<'a> {
    pub(crate) session: &'a Session,
    pub(crate) today: Date,
    pub(crate) options: &'a Options,
    /// Whether to look around.
    pub(crate) context: ContextArguments,
    /// How many accounts are worked on at once.
    pub(crate) parallelism: usize,
    /// Which part of the fleet it is about.
    pub(crate) shard: Option<Shard>,
    pub(crate) output: &'a Output,
}

impl Planning<'_> {
    /// Reads every account and plans it; one account's failure does not hide the others'.
    pub(crate) async fn plan(&self, accounts: Vec<DesiredAccount>) -> Result<Run, Error> {
        let scope = Scope {
            targets: self.options.targets.clone(),
            ignored: Vec::new(),
        };
        let look_around = async |planned| self.look_around(&planned).await.unwrap_or(planned);
        let accounts = self.each(accounts, &scope, look_around).await?;
        Ok(self.run(Format::Plan, accounts))
    }

    /// The same plan, knowing what acts on the levels that change; `None` where it has nothing to know.
    pub(crate) async fn look_around(&self, planned: &AccountPlan) -> Option<AccountPlan> {
        context::look_around(self.session, self.context, planned).await
    }

    /// What was made of the accounts as the result of this run.
    pub(crate) fn run(&self, format: Format, accounts: Vec<AccountPlan>) -> Run {
        let base_url = self.session.base_url().to_string();
        Run::new(format, base_url, self.shard, accounts, Timestamp::now())
    }

    /// The same, but only what `keep` makes of an account outlasts it. The results stand in the order of the accounts.
    ///
    /// # Errors
    ///
    /// A target that names nothing. What is ignored and names nothing is a warning.
    pub(crate) async fn each<T>(
        &self,
        accounts: Vec<DesiredAccount>,
        Scope { targets, ignored }: &Scope,
        keep: impl AsyncFn(AccountPlan) -> T,
    ) -> Result<Vec<T>, Error> {
        let unnamed = RefCell::new(Unnamed::new(&targets.globs));
        let unignored = RefCell::new(Unnamed::new(ignored));
        let look_at = |planned: &AccountPlan| {
            unnamed.borrow_mut().look_at(planned);
            unignored.borrow_mut().look_at(planned);
        };
        let (keep, look_at) = (&keep, &look_at);
        // Whichever is done first makes room for the next: one account that keeps failing holds nobody else up.
        let progress = Progress::reading(accounts.len(), self.output);
        let progress = &progress;
        let mut kept: Vec<(usize, T)> = stream::iter(accounts.into_iter().enumerate())
            .map(|(index, desired)| async move {
                let planned = self.plan_one(desired).await;
                look_at(&planned);
                progress.read(&planned.error.as_ref().map_or(Ok(()), Err));
                (index, keep(planned).await)
            })
            .buffer_unordered(self.parallelism)
            .collect()
            .await;
        progress.finish();
        if let Some(why) = unnamed.borrow().first() {
            return Err(Error::Usage(format!("--target {why}")));
        }
        // What was to be ignored may be gone by now, which is no reason not to check the rest.
        if let Some(why) = unignored.borrow().first() {
            self.output.warn(format_args!("--ignore {why}"));
        }
        kept.sort_unstable_by_key(|(index, _)| *index);
        Ok(kept.into_iter().map(|(_, kept)| kept).collect())
    }

    async fn plan_one(&self, mut desired: DesiredAccount) -> AccountPlan {
        let named = self.name_identity_providers(&mut desired).await;
        let desired = Arc::new(desired);
        let live = match named {
            Ok(()) => read_one(self.session, &desired).await,
            Err(error) => Err(error),
        };
        let result = live.and_then(|live| {
            plan(&desired, &Arc::new(live), self.today, self.options)
                .map_err(|errors| plan_error(&errors))
        });
        let account = desired.label();
        match &result {
            Ok(plan) => tracing::info!(account, changes = plan.changes.len(), "planned"),
            Err(error) => tracing::info!(account, error = error.kind.as_str(), "not planned"),
        }
        result.unwrap_or_else(|error| AccountPlan::failed(&desired, error))
    }
}

impl Planning<'_> {
    /// Gives each entry that names an identity provider that one's id as its reference. What goes away needs none.
    async fn name_identity_providers(
        &self,
        desired: &mut DesiredAccount,
    ) -> Result<(), AccountError> {
        if self.options.intent == Intent::Destroy || !needs_identity_providers(desired) {
            return Ok(());
        }
        let providers = identity_providers(self.session, desired).await?;
        resolve_identity_providers(desired, &providers).map_err(|errors| plan_error(&errors))
    }
}

/// The identity providers that an account's files may name.
pub(crate) async fn identity_providers(
    session: &Session,
    desired: &DesiredAccount,
) -> Result<Vec<IdentityProvider>, AccountError> {
    let reader = session.connection(desired)?.reader();
    let read = reader.identity_providers(&desired.account_id).await;
    let read = read.map_err(|error| account_error(&error))?;
    Ok(read.providers)
}

/// The globs that have named nothing yet.
struct Unnamed<'a> {
    globs: Vec<&'a Glob>,
    /// What they could have named: the addresses of everything, or of the integration whose id one is.
    meant: BTreeSet<String>,
    by_id: Option<Address>,
}

impl<'a> Unnamed<'a> {
    fn new(globs: &'a [Glob]) -> Self {
        Unnamed {
            globs: globs.iter().collect(),
            meant: BTreeSet::new(),
            by_id: None,
        }
    }

    fn look_at(&mut self, planned: &AccountPlan) {
        // An account that could not be read might hold whatever is named.
        if planned.error.is_some() {
            self.globs.clear();
        }
        self.globs.retain(|glob| match planned.named_by(glob) {
            Named::Something => false,
            Named::Nothing => true,
            Named::ById(address) => {
                self.by_id.get_or_insert(address);
                true
            }
        });
        if !self.globs.is_empty() {
            let addresses = planned.addresses();
            self.meant.extend(addresses.iter().map(ToString::to_string));
        }
    }

    /// The first of them, and what may have been meant.
    fn first(&self) -> Option<String> {
        let glob = self.globs.first()?.to_string();
        let meant: Vec<&str> = self.meant.iter().map(String::as_str).collect();
        let close = similar::get_close_matches(glob.as_str(), &meant, 1, 0.6);
        let help = match (&self.by_id, close.first()) {
            (Some(address), _) => format!("; that integration is listed as {address}"),
            (None, Some(meant)) => format!("; did you mean {meant}?"),
            (None, None) => String::new(),
        };
        Some(format!("{glob} matches no address{help}"))
    }
}

/// Reads what one account holds live.
pub(crate) async fn read_one(
    session: &Session,
    desired: &DesiredAccount,
) -> Result<LiveAccount, AccountError> {
    let reader = session.connection(desired)?.reader();
    let live = reader.live(&desired.account_id).await;
    live.map_err(|error| account_error(&error))
}

/// A file that can't come true as the failure of its account.
pub(crate) fn plan_error(errors: &PlanErrors) -> AccountError {
    AccountError {
        kind: FailureKind::Desired,
        message: errors.to_string(),
        ray: None,
        help: None,
    }
}
