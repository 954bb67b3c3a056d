//! Looks at the SSF documents behind integrations' `well_known_url`s. No credentials come near these requests.

use futures_util::stream::{self, StreamExt};

use crate::cli::run::session::Session;
use crate::doctor::{SsfDocument, inspect};
use crate::model::integration::Integration;

/// How many documents of one account are asked for side by side.
const AT_ONCE: usize = 4;

/// Looks at the document behind each of these integrations.
pub(crate) async fn look<'a>(
    session: &Session,
    integrations: impl IntoIterator<Item = &'a Integration>,
) -> Vec<SsfDocument> {
    let (transport, destination) = session.documents();
    let (transport, destination) = (&transport, &destination);
    let inspected = integrations
        .into_iter()
        .map(async |integration| SsfDocument {
            integration_id: integration.id,
            tenant_url: integration.settings.tenant_url.to_string(),
            findings: inspect(transport, destination, &integration.well_known_url).await,
        });
    stream::iter(inspected).buffered(AT_ONCE).collect().await
}
