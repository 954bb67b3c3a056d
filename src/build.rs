//! Sets the target, and for releases the commit and its date. Works without Git, from a package or an archive.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=src/build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=RISKFORM_TARGET={target}");
    // Other builds have no commit, because every commit would rebuild them.
    let (commit, date) = match env::var("PROFILE").as_deref() {
        Ok("release") => commit(),
        _ => Default::default(),
    };
    println!("cargo:rustc-env=RISKFORM_COMMIT={commit}");
    println!("cargo:rustc-env=RISKFORM_COMMIT_DATE={date}");
}

/// Returns the commit and its date. Both are empty if unknown.
fn commit() -> (String, String) {
    for name in ["RISKFORM_COMMIT", "RISKFORM_COMMIT_DATE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    if let Ok(commit) = env::var("RISKFORM_COMMIT") {
        return (commit, env::var("RISKFORM_COMMIT_DATE").unwrap_or_default());
    }
    // `cargo package` writes this file.
    if let Ok(text) = fs::read_to_string(".cargo_vcs_info.json") {
        let sha = text.split('"').find(|word| word.len() == 40);
        return (sha.unwrap_or_default().to_owned(), String::new());
    }
    // A `.git` in a parent directory belongs to another project.
    if !Path::new(".git").exists() {
        return Default::default();
    }
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let files = ["HEAD", "packed-refs", &branch].into_iter();
    for file in files.filter(|file| !file.is_empty()) {
        println!("cargo:rerun-if-changed=.git/{file}");
    }
    let date = git(&["show", "-s", "--format=%cs", "HEAD"]);
    (git(&["rev-parse", "HEAD"]), date)
}

/// Returns the output of a Git command, or an empty text if it fails.
fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).output();
    let output = output.ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
