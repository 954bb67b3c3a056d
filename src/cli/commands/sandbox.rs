//! `riskform sandbox`: the simulated API on a loopback port, for scripts, other tools and trying things out.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tokio::net::TcpListener;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::flags::seconds;
use crate::cli::io::environment;
use crate::cli::io::output::Output;
use crate::cli::run::signals;
use crate::sandbox::{
    AcceptedReferences, BASE_PATH, BehaviorsPut, DEFAULT_TOKEN, Entitlement, FaultScript, Grant,
    RECORDED_ACCOUNT, RateLimit, Sandbox, Settings, TenantUrlForm, UniqueKey, UnsetReference,
};

/// Flags of `sandbox`.
#[derive(Args, Debug)]
pub(crate) struct SandboxArguments {
    /// The port on 127.0.0.1; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value = "0")]
    port: u16,
    /// Keep the accounts in this file instead of in memory
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// What a write of behaviors does to the ones that it leaves out
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "merge", value_parser = enum_parser(BehaviorsPut::ALL, BehaviorsPut::as_str))]
    behaviors_put: BehaviorsPut,
    /// Fields that no two integrations of an account may share
    #[arg(long, hide_short_help = true, value_name = "FIELDS", value_delimiter = ',', value_parser = enum_parser(UniqueKey::ALL, UniqueKey::as_str))]
    unique: Vec<UniqueKey>,
    /// In which form a tenant_url is kept
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "verbatim", value_parser = tenant_url_form())]
    tenant_url: TenantUrlForm,
    /// What becomes of a reference_id that a request leaves out
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "random", value_parser = enum_parser(UnsetReference::ALL, UnsetReference::as_str))]
    unset_reference: UnsetReference,
    /// Which references are accepted
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "any", value_parser = enum_parser(AcceptedReferences::ALL, AcceptedReferences::as_str))]
    references: AcceptedReferences,
    /// How long each answer takes
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    latency: Option<Duration>,
    /// How many requests a token may make: N/SECONDS, or off; one too many blocks it for as long [default: 1200/300]
    #[arg(long, value_name = "LIMIT")]
    rate_limit: Option<RateLimit>,
    /// What a token may do: [TOKEN=]WORDS, of read,write,pii,apps,groups,audit-log; may be repeated [default: all of it]
    #[arg(long, value_name = "GRANT")]
    permissions: Vec<Grant>,
    /// Answer as where risk scoring is not bought
    #[arg(long)]
    no_entitlement: bool,
    /// Let things go wrong as this script says (schema/faults.schema.json)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl SandboxArguments {
    fn settings(&self) -> Settings {
        let defaults = Settings::default();
        let mut tokens = defaults.tokens.clone();
        for Grant { token, permissions } in self.permissions.iter().cloned() {
            tokens.insert(token, permissions);
        }
        Settings {
            behaviors_put: self.behaviors_put,
            unique: self.unique.iter().copied().collect(),
            tenant_url: self.tenant_url,
            unset_reference: self.unset_reference,
            references: self.references,
            latency: self.latency.unwrap_or(defaults.latency),
            rate_limit: self.rate_limit.unwrap_or(defaults.rate_limit),
            tokens,
            entitlement: if self.no_entitlement {
                Entitlement::None
            } else {
                Entitlement::All
            },
            // Nobody could ask a server for them, and it may run for long.
            record_requests: false,
            ..defaults
        }
    }
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(
    arguments: SandboxArguments,
    output: &Output,
) -> Result<Exit, CommandError> {
    let script = arguments.faults.as_deref().map(read_script).transpose()?;
    let settings = arguments.settings();
    let sandbox = match &arguments.data {
        Some(path) => Sandbox::open(path, settings)
            .map_err(CommandError::other("the simulated API can't be opened"))?,
        None => Sandbox::in_memory(settings),
    };
    let cannot_serve = || format!("port {} of 127.0.0.1 can't be served", arguments.port);
    // Loopback only: whoever reaches the port may do everything.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
        .await
        .map_err(CommandError::other(cannot_serve()))?;
    let address = listener
        .local_addr()
        .map_err(CommandError::other(cannot_serve()))?;
    let stop = signals::first_signal()?;
    output.result(format_args!(
        "{}=http://{address}{BASE_PATH}\n{}={DEFAULT_TOKEN}\n{}={RECORDED_ACCOUNT}\n",
        environment::BASE_URL,
        environment::API_TOKEN,
        environment::ACCOUNT_ID,
    ))?;
    output.say("serving the simulated API; export these variables to use it, Ctrl-C to end");
    sandbox
        .laboratory(script.unwrap_or_default())
        .serve(listener, stop)
        .await
        .map_err(CommandError::other(cannot_serve()))?;
    Ok(Exit::Done)
}

fn read_script(path: &Path) -> Result<FaultScript, CommandError> {
    let context = || format!("--faults {}", path.display());
    let text = fs::read_to_string(path).map_err(CommandError::other(context()))?;
    FaultScript::parse(&text).map_err(CommandError::other(context()))
}

/// As it was spelled in version 0.1, the second word is still understood.
fn tenant_url_form() -> impl TypedValueParser<Value = TenantUrlForm> {
    let forms = TenantUrlForm::ALL.iter().map(|form| {
        let word = PossibleValue::new(form.as_str());
        match form {
            TenantUrlForm::Verbatim => word,
            TenantUrlForm::Normalized => word.alias("normalised"),
        }
    });
    PossibleValuesParser::new(forms).map(|text| text.parse().unwrap_or(TenantUrlForm::Normalized))
}

/// Takes one of these words, and names them all in the help and to whoever writes another.
fn enum_parser<T>(
    words: &'static [T],
    as_str: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(words.iter().map(|word| as_str(*word))).map(move |text| {
        let word = words.iter().find(|word| as_str(**word) == text);
        *word.expect("clap lets no other word pass")
    })
}
