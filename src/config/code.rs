//! Rules for files: one stable id for each kind of mistake.

use crate::model::open_enum::string_enum;

string_enum! {
    /// Severity of a diagnostic.
    Severity {
        /// The files are rejected.
        Error = "error",
        /// The files are accepted, but should be checked.
        Warning = "warning",
    }
}

/// Declares the rules. The doc comment of a rule is its description in outputs.
macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident = $id:literal,)+) => {
        string_enum! {
            /// Kind of a mistake. The ids are stable, because code hosts show them and scripts may depend on them.
            DiagnosticCode { $($(#[doc = $doc])+ $rule = $id,)+ }
        }

        impl DiagnosticCode {
            /// Returns the description of the rule.
            pub fn description(self) -> &'static str {
                match self {
                    $(DiagnosticCode::$rule => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

rules! {
    /// Cannot read a file or directory.
    Unreadable = "unreadable",
    /// Not a regular file (FIFO, socket or device).
    NotAFile = "not-a-file",
    /// File outside the allowed root directory, or inside `.git`.
    Confined = "outside-root",
    /// No desired-state files found, or only fragments.
    NothingToLoad = "nothing-to-load",
    /// File or value exceeds the size limit.
    TooLarge = "too-large",
    /// File is not UTF-8.
    NotUtf8 = "not-utf-8",
    /// Invisible character.
    ControlCharacter = "control-character",
    /// Not a desired-state file: unknown first key.
    ForeignFile = "unrelated-file",
    /// Empty document.
    EmptyDocument = "empty-document",
    /// Invalid YAML, or Git conflict markers.
    Syntax = "syntax",
    /// Nesting is too deep.
    Nesting = "nesting",
    /// Unknown or recursive alias, or too many aliases.
    Alias = "alias",
    /// YAML tag such as `!!str`.
    Tag = "tag",
    /// Duplicate key in a mapping.
    DuplicateKey = "duplicate-key",
    /// Key is a list or mapping.
    KeyNotText = "key-not-text",
    /// Unknown key.
    UnknownKey = "unknown-key",
    /// Missing required key.
    MissingKey = "missing-key",
    /// Wrong type, such as a list instead of a mapping.
    WrongType = "wrong-type",
    /// Value is not one of the allowed values.
    UnknownWord = "unknown-value",
    /// `yes`, `no`, `on` or `off` instead of `true` or `false`.
    YamlBoolean = "yaml-1.1-boolean",
    /// Unsupported format version.
    Version = "version",
    /// Number out of range, or in an unusual notation.
    Number = "number",
    /// Invalid character in a name or behavior key.
    Name = "name",
    /// Invalid account ID.
    AccountId = "account-id",
    /// Invalid integration ID.
    IntegrationId = "integration-id",
    /// Invalid tenant URL.
    TenantUrl = "tenant-url",
    /// Empty `reference_id` or `identity_provider`.
    ReferenceId = "reference-id",
    /// Both `reference_id` and `identity_provider` are set.
    TwoReferences = "two-references",
    /// Invalid date.
    Date = "date",
    /// Item of `protected` in the limits is not an https URL or a UUID.
    LimitsProtected = "limits-protected",
    /// Not the name of a variable that may hold a token.
    VariableName = "variable-name",
    /// Empty entry.
    EmptyEntry = "empty-entry",
    /// Duplicate list item.
    DuplicateItem = "duplicate-item",
    /// No account ID in the file, on the command line or in the environment.
    MissingAccountId = "missing-account-id",
    /// Account ID differs between file and command line.
    AccountIdConflict = "account-id-conflict",
    /// Account declared twice.
    DuplicateAccount = "duplicate-account",
    /// Account name used twice.
    DuplicateName = "duplicate-name",
    /// Two entries have the same `tenant_url` and are not both pinned with `id`.
    SharedTenantUrl = "shared-tenant-url",
    /// Two entries have the same `reference_id` and are not both pinned with `id`.
    SharedReferenceId = "shared-reference-id",
    /// Two entries are pinned to the same integration.
    SharedId = "shared-id",
    /// `null` without an inherited entry.
    NothingToRemove = "nothing-to-remove",
    /// `extends` cycle.
    ExtendsCycle = "extends-cycle",
    /// Cannot use a file named in `extends`.
    Extends = "extends",
    /// Invalid `${…}` expression.
    Interpolation = "interpolation",
    /// Variable is not set.
    UnsetVariable = "unset-variable",
    /// Variable is empty.
    EmptyVariable = "empty-variable",
    /// Variable is not allowed in files.
    ForbiddenVariable = "forbidden-variable",
    /// File cannot be formatted.
    Layout = "layout",
    /// Credential in a file.
    SecretKey = "secret-key",
    /// `until` date has passed.
    Expired = "expired",
    /// Limits file is inside the directory it limits.
    LimitsBeneathRoot = "limits-beneath-root",
    /// Host is not an Okta domain; scores will not arrive.
    NotAnOktaOrganization = "not-an-okta-organization",
    /// Host is an Okta admin console; scores will not arrive.
    AdminHost = "admin-host",
    /// `reference_id` is not a UUID.
    ReferenceNotUuid = "reference-not-uuid",
    /// `reference_id: null` with nothing to remove: a reference cannot be cleared.
    NullReference = "null-reference",
    /// `null` with nothing to remove: the field counts as left out.
    NullField = "null-field",
    /// JSON files in a directory are not loaded.
    JsonSkipped = "json-skipped",
    /// Item of `protected` looks like a host but is treated as a `reference_id`.
    ProtectedHost = "protected-host",
}

impl DiagnosticCode {
    /// Returns the severity of the rule. Warnings are declared last.
    pub fn severity(self) -> Severity {
        match self < DiagnosticCode::Expired {
            true => Severity::Error,
            false => Severity::Warning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_rules_match_the_code() {
        let committed = std::fs::read_to_string("schema/rules.md").unwrap();
        let (heading, _) = committed.split_once("\n\n| rule").unwrap();
        let rules = DiagnosticCode::ALL.iter();
        let rows = rules.map(|rule| {
            let (severity, description) = (rule.severity(), rule.description());
            format!("| `{rule}` | {severity} | {description} |\n")
        });
        let rows: String = rows.collect();
        let generated =
            format!("{heading}\n\n| rule | severity | description |\n| --- | --- | --- |\n{rows}");
        if std::env::var_os("RISKFORM_UPDATE_SCHEMAS").is_some() {
            std::fs::write("schema/rules.md", &generated).unwrap();
        }
        assert_eq!(
            committed, generated,
            "run RISKFORM_UPDATE_SCHEMAS=1 cargo test --lib rules"
        );
    }
}
