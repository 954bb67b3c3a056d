//! Evidence of a run: token IDs from the API, hashes of the files, and the CI run from the environment. Nothing here fails a run.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::api::Client;
use crate::cli::io::environment;
use crate::cli::session::{EMAIL_AND_KEY, Session};
use crate::model::account::{AccountId, DesiredAccount};
use crate::model::evidence::{Evidence, FileEvidence, TokenEvidence};

/// Verifies each token of the accounts once. The returned future can run while the accounts are read.
pub(crate) fn collect<'a>(
    session: &'a Session,
    accounts: &[DesiredAccount],
) -> impl Future<Output = Evidence> + use<'a> {
    let mut tokens: BTreeMap<Option<String>, (Client, AccountId, usize)> = BTreeMap::new();
    for account in accounts {
        if let Ok((source, _)) = session.credentials(account.api_token_env.as_deref())
            && source != EMAIL_AND_KEY
            && let Ok(client) = session.client(account)
        {
            let variable = (!session.is_sandbox()).then_some(source);
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
        let files = session.files.iter().map(|(file, hash)| FileEvidence {
            path: session.allowed_root.repository_path(file),
            sha256: Some(hash.clone()),
        });
        let mut files: Vec<FileEvidence> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let commit = env!("RISKFORM_COMMIT");
        Evidence {
            riskform_commit: (!commit.is_empty()).then(|| commit.to_owned()),
            tokens,
            commit: environment::first(&["GITHUB_SHA", "CI_COMMIT_SHA"]),
            repository: environment::first(&["GITHUB_REPOSITORY", "CI_PROJECT_PATH"]),
            run_url: environment::run_url().map(String::from),
            actor: Some(environment::actor()),
            files,
        }
    }
}
