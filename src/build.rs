//! Tells a release which commit it is made of. Works without git, from a package or a tarball; then it is the package that knows, or nobody.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=RISKFORM_TARGET={target}");
    // A build for trying things out is no release, and would be made anew with every commit.
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let (commit, date) = if release {
        commit()
    } else {
        Default::default()
    };
    println!(
        "cargo:rustc-env=RISKFORM_COMMIT={}",
        commit.unwrap_or_default()
    );
    println!(
        "cargo:rustc-env=RISKFORM_COMMIT_DATE={}",
        date.unwrap_or_default()
    );
}

/// The commit and its day.
fn commit() -> (Option<String>, Option<String>) {
    for name in ["RISKFORM_COMMIT", "RISKFORM_COMMIT_DATE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if let Ok(commit) = env::var("RISKFORM_COMMIT") {
        return (Some(commit), env::var("RISKFORM_COMMIT_DATE").ok());
    }
    // What `cargo package` writes.
    if let Ok(text) = fs::read_to_string(".cargo_vcs_info.json") {
        let sha = text.split('"').find(|word| word.len() == 40);
        return (sha.map(str::to_owned), None);
    }
    // Only its own repository tells about it, not one that it happens to lie in.
    if !Path::new(".git").exists() {
        return (None, None);
    }
    for file in ["HEAD", "packed-refs"] {
        println!("cargo:rerun-if-changed=.git/{file}");
    }
    if let Some(branch) = git(&["symbolic-ref", "-q", "HEAD"]) {
        println!("cargo:rerun-if-changed=.git/{branch}");
    }
    (
        git(&["rev-parse", "HEAD"]),
        git(&["show", "-s", "--format=%cs", "HEAD"]),
    )
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
