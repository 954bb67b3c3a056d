//! `riskform sandbox`: the simulated API on a loopback port, for scripts, other tools and experiments.

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rustix::process::{Pid, kill_process};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::cli::error::CommandError;
use crate::cli::exit::{Exit, Signal};
use crate::cli::flags::seconds;
use crate::cli::io::environment;
use crate::cli::io::output::Output;
use crate::cli::signals;
use crate::sandbox::{
    AcceptedReferences, BASE_PATH, BehaviorsPut, DEFAULT_TOKEN, Grant, RECORDED_ACCOUNT, RateLimit,
    Sandbox, Settings, TenantUrlForm, UniqueKey, UnsetReference,
};

/// Maximum time for requests in progress when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Flags of `sandbox`.
#[derive(Args, Debug)]
pub(crate) struct SandboxArgs {
    /// Port on 127.0.0.1 (0: any free port)
    #[arg(long, value_name = "PORT", default_value = "0")]
    port: u16,
    /// Store the accounts in a file (default: in memory)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// How a PUT treats behaviors missing from its body
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "merge", value_parser = enum_parser(BehaviorsPut::ALL, BehaviorsPut::as_str))]
    behaviors_put: BehaviorsPut,
    /// Integration fields that must be unique in an account
    #[arg(long, hide_short_help = true, value_name = "FIELDS", value_delimiter = ',', value_parser = enum_parser(UniqueKey::ALL, UniqueKey::as_str))]
    unique: Vec<UniqueKey>,
    /// How tenant_url is stored
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "verbatim", value_parser = enum_parser(TenantUrlForm::ALL, TenantUrlForm::as_str))]
    tenant_url: TenantUrlForm,
    /// Value of reference_id if a request omits it
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "random", value_parser = enum_parser(UnsetReference::ALL, UnsetReference::as_str))]
    unset_reference: UnsetReference,
    /// Which reference_id values are accepted
    #[arg(long, hide_short_help = true, value_name = "WORD", default_value = "any", value_parser = enum_parser(AcceptedReferences::ALL, AcceptedReferences::as_str))]
    references: AcceptedReferences,
    /// Response time, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    latency: Option<Duration>,
    /// Requests per token [default: 1200/300]
    ///
    /// N/SECONDS or off. A token that exceeds the limit is blocked for SECONDS.
    #[arg(long, value_name = "LIMIT")]
    rate_limit: Option<RateLimit>,
    /// Permissions of a token (repeatable) [default: all]
    ///
    /// [TOKEN=]LIST. LIST is one or more of read,write,pii,apps,groups,audit-log.
    #[arg(long, value_name = "GRANT")]
    permissions: Vec<Grant>,
    /// Simulate an account without Risk Scoring
    #[arg(long)]
    no_entitlement: bool,
    /// Command to run with the variables, instead of printing them
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl SandboxArgs {
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
            no_entitlement: self.no_entitlement,
        }
    }
}

/// Serves requests until Ctrl-C or SIGTERM, or while the command runs.
pub(crate) async fn run(arguments: SandboxArgs, output: &Output) -> Result<Exit, CommandError> {
    let settings = arguments.settings();
    let sandbox = match &arguments.data {
        Some(path) => Sandbox::open(path, settings)
            .map_err(CommandError::other("cannot open the simulated API"))?,
        None => Sandbox::in_memory(settings),
    };
    let cannot_serve = || format!("cannot listen on 127.0.0.1:{}", arguments.port);
    // Loopback only: the port has no access control.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
        .await
        .map_err(CommandError::other(cannot_serve()))?;
    let address = listener
        .local_addr()
        .map_err(CommandError::other(cannot_serve()))?;
    let variables = [
        (
            environment::BASE_URL,
            format!("http://{address}{BASE_PATH}"),
        ),
        (environment::API_TOKEN, DEFAULT_TOKEN.to_owned()),
        (environment::ACCOUNT_ID, RECORDED_ACCOUNT.to_owned()),
    ];
    let stop = signals::first_signal()?;
    if let [program, rest @ ..] = &arguments.command[..] {
        let _server = tokio::spawn(axum::serve(listener, sandbox.router()).into_future());
        let mut command = Command::new(program);
        command.args(rest).envs(variables);
        return run_command(&mut command, stop).await;
    }
    let lines = variables.map(|(name, value)| format!("export {name}={value}\n"));
    output.result(lines.concat());
    output.status("simulated API is running; export these variables to use it (Ctrl-C to stop)");
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, sandbox.router()).with_graceful_shutdown(async move {
        stop.await;
        drop(stopping);
    });
    tokio::select! {
        served = server.into_future() => served.map_err(CommandError::other(cannot_serve()))?,
        // Requests that take longer are cut off.
        () = async {
            let _ = stopped.await;
            sleep(SHUTDOWN_TIMEOUT).await;
        } => {}
    }
    Ok(Exit::Done)
}

/// Runs a command and ends with its exit code. Passes SIGTERM and SIGHUP on; Ctrl-C reaches the command by itself.
async fn run_command(
    command: &mut Command,
    stop: impl Future<Output = Signal>,
) -> Result<Exit, CommandError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = || CommandError::other(format!("cannot run {name}"));
    let mut child = command.spawn().map_err(failed())?;
    let process = Pid::from_child(&child);
    let mut ended = spawn_blocking(move || child.wait());
    let status = tokio::select! {
        status = &mut ended => status,
        signal = stop => {
            let passed_on = match signal {
                Signal::Interrupt => None,
                Signal::Terminate => Some(rustix::process::Signal::TERM),
                Signal::Hangup => Some(rustix::process::Signal::HUP),
            };
            if let Some(signal) = passed_on {
                // The command may have ended already.
                let _ = kill_process(process, signal);
            }
            ended.await
        }
    };
    let status = status.map_err(io::Error::other).flatten();
    let status = status.map_err(failed())?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    std::process::exit(code.unwrap_or(Exit::Error as i32))
}

/// Returns a parser for these values. Help and errors list them.
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
