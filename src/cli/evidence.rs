//! Evidence of a run: token IDs from the API, hashes of the files, and the CI run from the environment. Nothing here fails a run.

use std::collections::BTreeMap;
use std::fs;

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;

use crate::api::Client;
use crate::cli::io::environment;
use crate::cli::session::{CredentialSource, Session};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::evidence::{Evidence, FileEvidence, TokenEvidence};
use crate::model::text::hex;

/// Verifies each token of the accounts once, and reads the files. The returned future can run while the accounts are read.
pub(crate) fn collect<'a>(
    session: &'a Session,
    accounts: &[DesiredAccount],
) -> impl Future<Output = Evidence> + use<'a> {
    let mut tokens: BTreeMap<Option<String>, (Client, AccountId, usize)> = BTreeMap::new();
    for account in accounts {
        let variable = match session.credentials(account.api_token_env.as_deref()) {
            Ok((CredentialSource::Token(name), _)) => Some(name),
            Ok((CredentialSource::Sandbox, _)) => None,
            // An API key has no ID.
            Ok((CredentialSource::Key, _)) | Err(_) => continue,
        };
        if let Ok(client) = session.client(account) {
            let first = || (client, account.account_id.clone(), 0);
            tokens.entry(variable).or_insert_with(first).2 += 1;
        }
    }
    async move {
        let tokens = tokens.into_iter();
        let tokens = tokens.map(async |(variable, (client, account, accounts))| {
            let verified = client.reader().verify_token(&account).await;
            TokenEvidence {
                variable,
                id: verified.ok().and_then(|(_, token)| token.id),
                accounts,
            }
        });
        let tokens = join_all(tokens).await;
        let files = session.files.iter().map(|file| FileEvidence {
            path: session.allowed_root.repository_path(file),
            sha256: fs::read(file)
                .ok()
                .map(|content| hex(digest(&SHA256, &content))),
        });
        let mut files: Vec<FileEvidence> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let commit = env!("RISKFORM_COMMIT");
        Evidence {
            riskform_commit: (!commit.is_empty()).then(|| commit.to_owned()),
            tokens,
            commit: environment::commit(),
            repository: environment::repository(),
            run_url: environment::run_url().map(String::from),
            actor: Some(environment::actor()),
            files,
        }
    }
}
