//! The command line: one file per command, exit codes, prompts, progress.
