//! `riskform sandbox`: the simulated API on a loopback port, for scripts, other tools and experiments.

use std::ffi::OsString;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use rustix::process::{Pid, kill_process};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::io::environment;
use crate::cli::io::output::Output;
use crate::cli::signals::{self, Signal};
use crate::sandbox::{BASE_PATH, DEFAULT_TOKEN, RECORDED_ACCOUNT, Sandbox, Settings};

/// Flags of `sandbox`.
#[derive(Args, Debug)]
pub(crate) struct SandboxArgs {
    /// Port on 127.0.0.1 (0: any free port)
    #[arg(long, value_name = "PORT", default_value = "0")]
    port: u16,
    /// Store the accounts in a file (default: in memory)
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// Command to run with the variables, instead of printing them
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Serves requests until Ctrl-C or SIGTERM, or while the command runs.
pub(crate) async fn run(args: SandboxArgs, output: &Output) -> Result<Exit, CommandError> {
    let sandbox = match &args.data {
        Some(path) => Sandbox::open(path, args.settings)
            .map_err(CommandError::other("cannot open the simulated API"))?,
        None => Sandbox::in_memory(args.settings),
    };
    let cannot_serve = || CommandError::other(format!("cannot listen on 127.0.0.1:{}", args.port));
    // Loopback only: the port has no access control.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await;
    let listener = listener.map_err(cannot_serve())?;
    let address = listener.local_addr().map_err(cannot_serve())?;
    let base_url = format!("http://{address}{BASE_PATH}");
    let variables = [
        (environment::BASE_URL, base_url.as_str()),
        (environment::API_TOKEN, DEFAULT_TOKEN),
        (environment::ACCOUNT_ID, RECORDED_ACCOUNT),
    ];
    let stop = signals::first_signal()?;
    if let [program, rest @ ..] = &args.command[..] {
        let _server = tokio::spawn(axum::serve(listener, sandbox.router()).into_future());
        let mut command = Command::new(program);
        command.args(rest).envs(variables);
        return run_command(&mut command, stop).await;
    }
    let lines = variables.map(|(name, value)| format!("export {name}={value}\n"));
    output.result(lines.concat());
    output.status("simulated API is running; export these variables to use it (Ctrl-C to stop)");
    tokio::select! {
        served = axum::serve(listener, sandbox.router()).into_future() => {
            served.map_err(cannot_serve())?;
        }
        _ = stop => {}
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
        received = stop => {
            let signal = rustix::process::Signal::from_named_raw(received.kind.as_raw_value());
            // The command may have ended already.
            let _ = match signal {
                Some(signal) if received.exit != Exit::Interrupted => kill_process(process, signal),
                _ => Ok(()),
            };
            ended.await
        }
    };
    let status = status
        .map_err(io::Error::other)
        .flatten()
        .map_err(failed())?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    std::process::exit(code.unwrap_or(Exit::Error as i32))
}
