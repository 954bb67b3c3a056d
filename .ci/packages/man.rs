//! Writes a man page for each command: `cargo run --example man -- DIRECTORY`.

fn main() -> std::io::Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .ok_or_else(|| std::io::Error::other("usage: man DIRECTORY"))?;
    clap_mangen::generate_to(riskform::cli::command_line(), directory)
}
