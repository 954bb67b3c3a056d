//! The document: its top-level keys, what is unlisted, the guards, and how an account comes of one or more files.

use std::sync::Arc;

use jiff::civil::Date;
use schemars::JsonSchema;

use super::behavior::{self, BehaviorLayer};
use super::decode::{Decoder, Field, Subject, Text, VariableUse};
use super::entries::{Listing, Section};
use super::integration::{self, IntegrationLayer, invalid_tenant_url};
use crate::config::diagnostic::{Draft, Found};
use crate::config::interpolate::is_variable_name;
use crate::config::rule::Rule;
use crate::config::schema::{all_optional, only_version_required};
use crate::config::source::{Span, Spanned};
use crate::config::yaml::{Document, Entry, Node, Value};
use crate::model::account::{
    AccountId, DesiredAccount, Guards, InvalidAccountId, Protected, Unlisted, UnlistedBehaviors,
    UnlistedIntegrations, WeakeningPolicy,
};
use crate::model::address::{InvalidName, Name};
use crate::model::integration::TenantUrl;

/// The only version of the format.
const VERSION: &str = "1";

/// What should be true of one Cloudflare account's Zero Trust Risk Scoring. One document, one account; a file whose name begins with `_`
/// is a fragment for `extends` and declares no account by itself.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(rename = "DesiredState", deny_unknown_fields, transform = only_version_required)]
pub(in crate::config) struct Layer {
    /// The version of this format.
    version: Field<Version>,
    /// The account: 32 hexadecimal digits. Left out, --account-id or CLOUDFLARE_ACCOUNT_ID stands in.
    #[schemars(
        example = &"023e105f4ecef8ad9ca31a8372d0c353",
        example = &"${CLOUDFLARE_ACCOUNT_ID}"
    )]
    account_id: Field<AccountId>,
    /// What the account is called in output. Unique in a fleet; left out, the account id stands in.
    #[schemars(example = &"production")]
    name: Field<Name>,
    /// Files to merge beneath this one, relative to it; of several the later wins.
    #[schemars(with = "Field<Vec<Text>>", example = ["_baseline.yaml"])]
    pub(in crate::config) extends: Vec<Text>,
    /// The NAME of the environment variable that holds the API token. The token itself never stands in a file. No other credential is
    /// tried where this is given.
    #[schemars(example = &"CLOUDFLARE_API_TOKEN")]
    pub(in crate::config) api_token_env: Field<VariableName>,
    /// Risk behaviors by the vendor's key. `null` takes away one that is inherited through `extends`.
    behaviors: Section<BehaviorLayer>,
    /// Integrations by a local name that is never sent. `null` takes away one that is inherited through `extends`.
    integrations: Section<IntegrationLayer>,
    /// What to do with what is live but in no file.
    unlisted: UnlistedLayer,
    /// What a plan for this account may not do.
    guards: GuardsLayer,
    /// Where the document begins.
    #[schemars(skip)]
    pub(in crate::config) span: Span,
    /// Every variable that the document names.
    #[schemars(skip)]
    pub(in crate::config) variables: Vec<VariableUse>,
    /// False when a mistake in the syntax cut the document short.
    #[schemars(skip)]
    whole: bool,
}

/// The number 1.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Version;

/// What to do with live things that no file lists.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename = "Unlisted", deny_unknown_fields, transform = all_optional)]
struct UnlistedLayer {
    /// With behaviors: leave them alone, report them as drift, or disable them.
    #[schemars(extend("default" = "keep"))]
    behaviors: Field<UnlistedBehaviors>,
    /// With integrations: leave them alone, report them as drift, or delete them.
    #[schemars(extend("default" = "report"))]
    integrations: Field<UnlistedIntegrations>,
}

/// What a plan may not do.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename = "Guards", deny_unknown_fields, transform = all_optional)]
struct GuardsLayer {
    /// The most integrations that a plan may delete or replace. --max-deletes overrides it.
    #[schemars(extend("default" = 1))]
    max_deletes: Field<u32>,
    /// Whether a plan that weakens protection is refused. --allow-weakening overrides `deny`.
    #[schemars(extend("default" = "warn"))]
    weakening: Field<WeakeningPolicy>,
    /// Integrations, by a tenant_url or reference_id, that are never deleted, replaced, deactivated or changed in either. The lists of all
    /// files count together. There is no override.
    #[schemars(with = "Field<Vec<Text>>", example = ["https://corp.okta.com"])]
    protected: Vec<Spanned<String>>,
}

impl Layer {
    /// Reads a document and reports what is wrong with it.
    pub(in crate::config) fn decode(
        document: &Document,
        found: &mut Found,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Layer {
        let mut decoder = Decoder::new(found, variables, document.whole);
        let root = &document.root;
        let mut layer = Layer {
            span: root.span,
            version: Field::Absent,
            account_id: Field::Absent,
            name: Field::Absent,
            extends: Vec::new(),
            api_token_env: Field::Absent,
            behaviors: Section::default(),
            integrations: Section::default(),
            unlisted: UnlistedLayer::default(),
            guards: GuardsLayer::default(),
            variables: Vec::new(),
            whole: document.whole,
        };
        layer.read(root, &mut decoder);
        layer.variables = decoder.used;
        layer
    }

    fn read(&mut self, root: &Node, decoder: &mut Decoder<'_>) {
        const KNOWN: [&str; 9] = [
            "version",
            "account_id",
            "name",
            "extends",
            "api_token_env",
            "behaviors",
            "integrations",
            "unlisted",
            "guards",
        ];
        let document = Subject::DOCUMENT;
        let Some(fields) = decoder.fields(root, root.span, document, &KNOWN) else {
            self.whole = false;
            return;
        };
        self.version = version(decoder, fields.get("version"), root.span);
        self.account_id = account_id(decoder, fields.get("account_id"));
        self.name = name(decoder, fields.get("name"));
        if let Some(entry) = fields.get("extends") {
            self.extends = extends(decoder, entry);
        }
        self.api_token_env = api_token_env(decoder, fields.get("api_token_env"));
        self.behaviors = Section::decode(decoder, fields.get("behaviors"));
        self.integrations = Section::decode(decoder, fields.get("integrations"));
        if let Some(entry) = fields.get("unlisted") {
            self.unlisted = UnlistedLayer::decode(decoder, entry);
        }
        if let Some(entry) = fields.get("guards") {
            self.guards = GuardsLayer::decode(decoder, entry);
        }
    }
}

fn version(decoder: &mut Decoder<'_>, entry: Option<&Entry>, document: Span) -> Field<Version> {
    let help = format!("write `version: {VERSION}`");
    let Some(entry) = entry else {
        decoder.lacking(
            Draft::new(
                Rule::MissingKey,
                document,
                "the document lacks its `version`",
            )
            .help(help),
        );
        return Field::Absent;
    };
    match &entry.value.value {
        Value::Scalar(scalar) if scalar.plain && &*scalar.text == VERSION => Field::Set(Spanned {
            value: Version,
            span: entry.value.span,
        }),
        Value::Unread => Field::Wrong,
        Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
            let draft = Draft::new(
                Rule::Version,
                entry.value_span(),
                format!("the only version of the format is the number {VERSION}"),
            );
            decoder.found.push(draft.help(help));
            Field::Wrong
        }
    }
}

fn account_id(decoder: &mut Decoder<'_>, entry: Option<&Entry>) -> Field<AccountId> {
    let subject = Subject::named("account_id");
    decoder.parsed(entry, subject, |error: InvalidAccountId, text| {
        Draft::new(
            Rule::AccountId,
            text.span,
            format!("`{}` is no account id: {error}", text.written),
        )
        .help("the dashboard shows it in the address of every page of the account")
    })
}

fn name(decoder: &mut Decoder<'_>, entry: Option<&Entry>) -> Field<Name> {
    let subject = Subject::named("name");
    decoder.parsed(entry, subject, |error: InvalidName, text| {
        Draft::new(
            Rule::Name,
            text.span,
            format!("`{}` can't name an account", text.written),
        )
        .help(error.to_string())
    })
}

fn extends(decoder: &mut Decoder<'_>, entry: &Entry) -> Vec<Text> {
    let subject = Subject::named("extends");
    let items = decoder.items(entry, subject).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| decoder.text(item, item.span, subject))
        .collect()
}

fn api_token_env(decoder: &mut Decoder<'_>, entry: Option<&Entry>) -> Field<VariableName> {
    let subject = Subject::named("api_token_env");
    decoder.parsed(entry, subject, |(): (), text| {
        Draft::new(
            Rule::VariableName,
            text.span,
            "api_token_env takes the name of an environment variable",
        )
        .help("write the name, such as `CLOUDFLARE_API_TOKEN`; the token itself never stands in a file")
    })
}

/// The name of an environment variable.
#[derive(Clone, Debug)]
pub(in crate::config) struct VariableName(pub(in crate::config) String);

impl std::str::FromStr for VariableName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Tokens are 40 characters of both cases and digits; nobody names a variable like that.
        let is_token = text.len() >= 32
            && text.contains(|c: char| c.is_ascii_lowercase())
            && text.contains(|c: char| c.is_ascii_digit());
        if is_variable_name(text) && !is_token {
            Ok(VariableName(text.to_owned()))
        } else {
            Err(())
        }
    }
}

impl UnlistedLayer {
    fn decode(decoder: &mut Decoder<'_>, entry: &Entry) -> Self {
        let subject = Subject::named("unlisted");
        let known = ["behaviors", "integrations"];
        let fields = decoder.fields(&entry.value, entry.value_span(), subject, &known);
        let Some(fields) = fields else {
            return UnlistedLayer::default();
        };
        let (behaviors, integrations) = (fields.get("behaviors"), fields.get("integrations"));
        UnlistedLayer {
            behaviors: decoder.word(behaviors, subject.at("behaviors"), UnlistedBehaviors::ALL),
            integrations: decoder.word(
                integrations,
                subject.at("integrations"),
                UnlistedIntegrations::ALL,
            ),
        }
    }

    fn lay(&mut self, upper: &UnlistedLayer) {
        let UnlistedLayer {
            behaviors,
            integrations,
        } = upper;
        self.behaviors.lay(behaviors);
        self.integrations.lay(integrations);
    }

    fn desired(&self) -> Unlisted {
        let UnlistedLayer {
            behaviors,
            integrations,
        } = self;
        Unlisted {
            behaviors: behaviors.value().copied().unwrap_or_default(),
            integrations: integrations.value().copied().unwrap_or_default(),
        }
    }
}

impl GuardsLayer {
    fn decode(decoder: &mut Decoder<'_>, entry: &Entry) -> Self {
        let subject = Subject::named("guards");
        let known = ["max_deletes", "weakening", "protected"];
        let fields = decoder.fields(&entry.value, entry.value_span(), subject, &known);
        let Some(fields) = fields else {
            return GuardsLayer::default();
        };
        let (max_deletes, weakening) = (fields.get("max_deletes"), fields.get("weakening"));
        GuardsLayer {
            max_deletes: decoder.number(max_deletes, subject.at("max_deletes")),
            weakening: decoder.word(weakening, subject.at("weakening"), WeakeningPolicy::ALL),
            protected: fields
                .get("protected")
                .map(|entry| protected(decoder, entry, subject.at("protected")))
                .unwrap_or_default(),
        }
    }

    /// Lays an extending file's guards over these. `protected` is a union: nobody sheds a protection by extending a file.
    fn lay(&mut self, upper: &GuardsLayer) {
        let GuardsLayer {
            max_deletes,
            weakening,
            protected,
        } = upper;
        self.max_deletes.lay(max_deletes);
        self.weakening.lay(weakening);
        for item in protected {
            if !self.protected.iter().any(|one| one.value == item.value) {
                self.protected.push(item.clone());
            }
        }
    }

    fn desired(&self, found: &Found) -> Guards {
        let GuardsLayer {
            max_deletes,
            weakening,
            protected,
        } = self;
        let default = Guards::default();
        Guards {
            max_deletes: max_deletes.value().copied().unwrap_or(default.max_deletes),
            weakening: weakening.value().copied().unwrap_or(default.weakening),
            protected: protected
                .iter()
                .map(|Spanned { value, span }| Protected {
                    text: value.clone(),
                    location: found.sources.location(*span),
                })
                .collect(),
        }
    }
}

fn protected(
    decoder: &mut Decoder<'_>,
    entry: &Entry,
    subject: Subject<'_>,
) -> Vec<Spanned<String>> {
    let mut list: Vec<Spanned<String>> = Vec::new();
    for item in decoder.items(entry, subject).unwrap_or_default() {
        let Some(text) = decoder.text(item, item.span, subject) else {
            continue;
        };
        if let Some(draft) = unprotecting(&text, subject) {
            decoder.found.push(draft);
        }
        if let Some(earlier) = list.iter().find(|one| one.value == text.value) {
            decoder.found.push(
                Draft::new(
                    Rule::DuplicateItem,
                    text.span,
                    format!("{subject} lists `{}` twice", text.written),
                )
                .label("again here")
                .also(earlier.span, "first here")
                .help("keep one of them"),
            );
            continue;
        }
        list.push(Spanned {
            span: text.span,
            value: text.value,
        });
    }
    list
}

/// What is wrong with an item of `protected` that would silently protect nothing.
fn unprotecting(text: &Text, subject: Subject<'_>) -> Option<Draft> {
    let value = text.value.as_str();
    if value.is_empty() {
        let draft = Draft::new(
            Rule::ReferenceId,
            text.span,
            format!("an item of {subject} is empty"),
        );
        return Some(draft.help("write a tenant_url or a reference_id"));
    }
    if value.contains("://") {
        let error = value.parse::<TenantUrl>().err()?;
        return Some(invalid_tenant_url(error, text, subject));
    }
    // A reference may be any text, so a host is only suspected.
    let like_a_host =
        value.contains('.') && format!("https://{value}").parse::<TenantUrl>().is_ok();
    like_a_host.then(|| {
        Draft::new(
            Rule::ProtectedHost,
            text.span,
            format!("`{}` is taken for a reference_id", text.written),
        )
        .help(format!(
            "write `https://{}` if the tenant is meant",
            text.written
        ))
    })
}

/// The account ids that stand in for one that a file leaves out.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct AccountIds {
    /// From the command line; a file must not disagree.
    pub(in crate::config) flag: Option<AccountId>,
    /// From the environment; a file may disagree.
    pub(in crate::config) default: Option<AccountId>,
}

/// An account whose files are all laid over each other, and what the fleet needs to know of it.
pub(in crate::config) struct Declared {
    pub(in crate::config) account: DesiredAccount,
    /// Where its `account_id` stands, or its document begins.
    pub(in crate::config) id_span: Span,
    /// Where its `name` stands, or its document begins.
    pub(in crate::config) name_span: Span,
}

/// Lays an account's files over each other, the lowest first and the account's own last, and judges the outcome.
///
/// `None` when no account came of it; why has then been reported.
pub(in crate::config) fn declare(
    layers: &[Arc<Layer>],
    ids: &AccountIds,
    today: Date,
    found: &mut Found,
) -> Option<Declared> {
    let own = layers.last()?;
    // What a document lacks that was cut short may only be unread.
    if !layers.iter().all(|layer| layer.whole) {
        return None;
    }
    let (mut account_id, mut name, mut api_token_env) = Default::default();
    let (mut behaviors, mut integrations) = (Listing::default(), Listing::default());
    let (mut unlisted, mut guards) = (UnlistedLayer::default(), GuardsLayer::default());
    for layer in layers {
        let Layer {
            span: _,
            version: _,
            account_id: upper_id,
            name: upper_name,
            extends: _,
            api_token_env: upper_env,
            behaviors: upper_behaviors,
            integrations: upper_integrations,
            unlisted: upper_unlisted,
            guards: upper_guards,
            variables: _,
            whole: _,
        } = layer.as_ref();
        lay(&mut account_id, upper_id);
        lay(&mut name, upper_name);
        lay(&mut api_token_env, upper_env);
        behaviors.lay(upper_behaviors, found);
        integrations.lay(upper_integrations, found);
        unlisted.lay(upper_unlisted);
        guards.lay(upper_guards);
    }
    let behaviors = behavior::desired(&behaviors, found);
    let integrations = integration::desired(&integrations, today, found);
    let id_span = account_id
        .get()
        .map_or(own.span, |id: &Spanned<AccountId>| id.span);
    let name_span = name.get().map_or(id_span, |name: &Spanned<Name>| name.span);
    let account = DesiredAccount {
        account_id: resolve_id(&account_id, ids, own.span, found)?,
        name: name.value().cloned(),
        source: Arc::clone(found.sources.name(own.span.source)),
        api_token_env: api_token_env
            .value()
            .map(|VariableName(name): &VariableName| name.clone()),
        behaviors,
        every_behavior: None,
        unmanaged: Default::default(),
        integrations,
        unlisted: unlisted.desired(),
        guards: guards.desired(found),
    };
    Some(Declared {
        account,
        id_span,
        name_span,
    })
}

fn lay<T: Clone>(lower: &mut Field<T>, upper: &Field<T>) {
    lower.lay(upper);
}

fn resolve_id(
    declared: &Field<AccountId>,
    ids: &AccountIds,
    document: Span,
    found: &mut Found,
) -> Option<AccountId> {
    let AccountIds { flag, default } = ids;
    match (declared, flag) {
        (Field::Wrong, _) => None,
        (Field::Set(declared), Some(flag)) if declared.value != *flag => {
            found.push(
                Draft::new(
                    Rule::AccountIdConflict,
                    declared.span,
                    format!("the file is for another account than --account-id {flag}"),
                )
                .help("leave --account-id out, or name the file of that account"),
            );
            None
        }
        (Field::Set(declared), _) => Some(declared.value.clone()),
        (Field::Absent, Some(flag)) => Some(flag.clone()),
        (Field::Absent, None) => {
            if default.is_none() {
                found.push(
                    Draft::new(Rule::MissingAccountId, document, "no account id")
                        .help("declare `account_id` in the file, give --account-id, or set CLOUDFLARE_ACCOUNT_ID"),
                );
            }
            default.clone()
        }
    }
}
