//! What can be secret: for each rule that was written by hand, texts as it is to find them, with values that are valid.
//!
//! In a template, what stands in braces must go. `#` is a digit, `?` a capital letter, `^` a small one, `~` a letter or
//! digit, `$` a capital letter or digit, `%` a hexadecimal digit, `&` a character of base64; `<n>` repeats; all else stands
//! for itself. Where there is a check, values are made until one passes.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::checks::{self, Check};
use super::dice::Dice;
use super::secret::Secret;

const DIGITS: &str = "0123456789";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
const CAPITALS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEXADECIMAL: &str = "0123456789abcdef";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BECH32: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Attempts at a value that passes its check: the least likely passes once in some hundreds.
const ATTEMPTS: usize = 100_000;

const CREDENTIALS: &[(&str, &str)] = &[
    (
        "authorization",
        "curl -H 'Proxy-Authorization: token {~<24>}' https://example.com/",
    ),
    (
        "authorization",
        "Authorization: Digest username=\"tape\", response=\"{%<32>}\"",
    ),
    ("cookie", "Cookie: theme=dark; sid={~<24>}"),
    ("bearer-token", "sent with Bearer {mF_9.~<14>-#~<8>} today"),
    ("jwt", "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ{~<24>.~<43>}!"),
    (
        "private-key",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD{&<40>}\n-----END RSA PRIVATE KEY-----",
    ),
    (
        "private-key",
        "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1r{&<40>}\\n-----END OPENSSH PRIVATE KEY-----",
    ),
    ("aws-access-key-id", "key {AKIA$<16>}."),
    ("aws-secret-key", "the AWS key is {aB3&<37>}, as ever"),
    ("github-token", "{ghp_~<36>}"),
    ("github-token", "{github_pat_~<22>_~<59>}"),
    ("slack-token", "{xoxb-#<11>-#<11>-~<24>}"),
    (
        "slack-webhook",
        "https://hooks.slack.com/{services/T$<8>/B$<8>/~<24>} done",
    ),
    ("llm-api-key", "key: {sk-proj-Ab3_~<36>}"),
    ("google-api-key", "https://maps.example/js?k={AIzaSy~<33>}&v=3"),
    ("stripe-key", "({sk_live_~<24>})"),
    ("url-userinfo", "postgres://app:{~<18>}@db:5432/main"),
    ("assigned-secret", "DB_PASSWORD={~<18>}"),
    ("assigned-secret", "GET /cb?access_token={~<22>}&state=1"),
    ("assigned-secret", "client_secret: '{~<20>}'"),
    ("command-secret", "mysql -u root --password {~<9>7x~<8>} shop"),
    ("command-secret", "login --token '{~<24>}'"),
    ("curl-user", "curl -sS -u admin:{~<16>} https://example.com/"),
    (
        "sql-password",
        "ALTER USER 'root'@'localhost' IDENTIFIED WITH caching_sha2_password BY '{~<16>}';",
    ),
    ("sql-password", "create role app login password '{~<16>}'"),
    ("password-hash", "root:$2b$12${~<53>}:19000:0"),
    (
        "password-hash",
        "ada $argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ${~<43>}",
    ),
    ("environment-secret", "export CI_DEPLOY_TOKEN={9a~<30>}"),
    ("vault-token", "VAULT_CLIENT=\"{s.7~<23>}\""),
    ("salesforce-session", "sid={00D5~<11>!AQ~<80>}"),
    ("netrc-password", "machine api.example.com login bob password {~<16>}"),
];

const PERSONAL: &[(&str, &str, Option<Check>)] = &[
    ("email", "mail {^<6>.^<4>@^<12>.org}, now", None),
    ("email", "mailto:{^<5>+^<3>@mail.^<10>.co.uk}?subject=x", None),
    ("card", "card {4#<15>}.", Some(checks::luhn)),
    ("card", "card {5### #### #### ####} exp 12/30", Some(mastercard)),
    ("card", "{37##-######-#####}", Some(checks::luhn)),
    ("card-announced", "my card {1800#<11>} expires", Some(checks::luhn)),
    ("iban", "IBAN {DE#<20>}", Some(checks::iban)),
    (
        "iban",
        "pay to {GB## WEST #### #### #### ##} please",
        Some(checks::iban),
    ),
    ("us-ssn", "ssn {###-##-####}.", Some(checks::us_ssn)),
    (
        "us-ssn-named",
        "Social Security No. {### ## ####}",
        Some(checks::us_ssn),
    ),
    ("phone", "call {+49 30 9######} now", None),
    ("phone", "tel:{+44 20 7### ####};", None),
    ("phone-national", "phone {(212) 7##-####}", Some(not_555)),
    ("phone-announced", "Mobile: {930.16#.####x4##} at work", Some(not_555)),
    ("ipv4", "from {81.2#.1##.1##}:443", Some(checks::ipv4)),
    ("ipv6", "from {2a02:2e0:%<4>:%<4>:%<4>:%<4>:%<4>:%<4>} on", None),
    ("mac-address", "eth0 {3c:52:%<2>:%<2>:%<2>:%<2>} up", None),
    ("ethereum-address", "pay {0x%<40>}!", None),
    ("us-routing", "routing number {#<9>}", Some(checks::us_routing)),
    ("us-npi", "NPI {1#<9>}", Some(checks::us_npi)),
    ("us-itin", "ITIN {9##-7#-####}", None),
    ("us-ein", "EIN {91-#<7>}", None),
    ("uk-nhs", "NHS no. {### ### ####}", Some(checks::uk_nhs)),
    ("uk-nino", "National Insurance: {AB ## ## ## C}", None),
    ("de-tax-id", "Steuer-ID {#<11>}", Some(checks::mod_11_10)),
    ("fr-nir", "NIR : {2 ## 08 14 ### ### ##}", Some(checks::fr_nir)),
    ("es-dni", "DNI {#<8>?}", Some(checks::es_dni)),
    (
        "it-fiscal-code",
        "codice fiscale {?<6>##T##A###?}",
        Some(checks::it_fiscal_code),
    ),
    ("pt-nif", "contribuinte n. {2#<8>}", Some(checks::pt_nif)),
    ("nl-bsn", "BSN {1#<8>}", Some(checks::nl_bsn)),
    (
        "be-national",
        "Rijksregisternummer {##.07.1#-### ##}",
        Some(checks::be_national),
    ),
    ("pl-pesel", "PESEL: {##0#1######}", Some(checks::pl_pesel)),
    ("se-personal", "personnummer {##0#1#-####}", Some(checks::se_personal)),
    ("no-birth", "fodselsnummer {1#0#<8>}", Some(checks::no_birth)),
    ("dk-cpr", "CPR-nr. {1#0###-####}", Some(checks::month_at_2)),
    ("fi-personal", "hetu {1#0###-###$}", Some(checks::fi_personal)),
    ("ch-ahv", "AHV {756.####.####.##}", Some(checks::ch_ahv)),
    ("at-svnr", "SVNR {#### 1#04##}", Some(checks::at_svnr)),
    ("cz-birth", "rodne cislo {##0#1#/####}", Some(checks::cz_birth)),
    ("ro-cnp", "CNP {1##061#######}", Some(checks::ro_cnp)),
    ("bg-egn", "EGN {##061#####}", Some(checks::bg_egn)),
    ("hr-oib", "OIB {#<11>}", Some(checks::mod_11_10)),
    ("ee-personal", "isikukood {3##0#1#####}", Some(checks::ee_personal)),
    ("gr-amka", "AMKA {1#0#<8>}", Some(checks::gr_amka)),
    ("ie-pps", "PPS no {#<7>?}", Some(checks::ie_pps)),
    ("tr-identity", "T.C. Kimlik No {1#<10>}", Some(checks::tr_identity)),
    ("il-identity", "teudat zehut {#<9>}", Some(checks::luhn)),
    ("in-aadhaar", "Aadhaar {2### #### ####}", Some(checks::verhoeff)),
    ("in-pan", "PAN {???P?####?}", None),
    ("cn-resident", "ID card {3#<5>199#0#1####$}", Some(checks::cn_resident)),
    ("jp-my-number", "My Number {#### #### ####}", Some(checks::jp_my_number)),
    ("kr-resident", "RRN {##0#1#-#<7>}", Some(checks::kr_resident)),
    ("sg-nric", "NRIC {S#<7>?}", Some(checks::sg_nric)),
    ("au-tfn", "TFN {### ### ###}", Some(checks::au_tfn)),
    ("au-medicare", "Medicare {2### ##### 1}", Some(checks::au_medicare)),
    ("nz-ird", "IRD {4#-###-###}", Some(checks::nz_ird)),
    ("ca-sin", "Social insurance {1##-###-###}", Some(checks::luhn)),
    ("br-cpf", "CPF {###.###.###-##}", Some(checks::br_cpf)),
    ("br-cnpj", "CNPJ {##.###.###/0001-##}", Some(checks::br_cnpj)),
    ("ar-cuit", "CUIT {20-#<8>-#}", Some(checks::ar_cuit)),
    ("cl-rut", "RUT: {1#.###.###-$}", Some(checks::cl_rut)),
    ("mx-curp", "CURP {?E??##0#1#HNERXN0#}", Some(checks::mx_curp)),
    ("za-identity", "SA ID {##0#1#<8>}", Some(checks::za_identity)),
    ("eu-vat", "VAT {DE#<9>}", None),
    ("swift-bic", "BIC {????DE$<5>}", None),
    ("passport", "passport no. {C#<8>}", None),
    ("drivers-licence", "driving licence {?<5>#<6>?#?}", None),
    ("birth-date", "born on {19##-0#-1#}", Some(born)),
];

/// Members that a rule knows by their names, whatever their values are.
const MEMBERS: &[(&str, &[&str])] = &[
    (
        "credential",
        &[
            "password",
            "db_password",
            "clientSecret",
            "x-api-key",
            "Set-Cookie",
            "access_token",
            "Authorization",
            "Mcp-Session-Id",
            "private_key",
            "aws_secret_access_key",
        ],
    ),
    ("us-ssn-field", &["ssn", "customer_ssn", "SocialSecurityNumber"]),
    ("card-code-field", &["cvv", "cvc2", "card_security_code"]),
    ("person-name-field", &["firstName", "last_name", "patient_name"]),
    ("address-field", &["street", "billing_address", "postalCode"]),
];

/// A number of Mastercard's.
fn mastercard(text: &str) -> bool {
    matches!(text.as_bytes()[1], b'1'..=b'5') && checks::luhn(text)
}

/// Numbers for fiction are nobody's, and exchanges end neither in 11 nor are they 555.
fn not_555(text: &str) -> bool {
    !text.contains("555") && !text.contains("711")
}

fn born(text: &str) -> bool {
    text.as_bytes()[6] > b'0'
}

/// A value of a template.
fn made(template: &str, check: Option<Check>, dice: &mut Dice) -> Secret {
    let (before, rest) = template.split_once('{').expect("a template has braces");
    let (pattern, after) = rest.split_once('}').expect("a template has two braces");
    let attempts = (0..ATTEMPTS).map(|_| value(pattern, dice));
    let value = attempts
        .into_iter()
        .find(|value| check.is_none_or(|check| check(value)))
        .unwrap_or_else(|| panic!("{template}: no value passes its check"));
    Secret::text(before, &value, after)
}

fn value(pattern: &str, dice: &mut Dice) -> String {
    let mut out = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(sign) = rest.next() {
        let mut times = 1;
        if rest.peek() == Some(&'<') {
            let number: String = rest.by_ref().skip(1).take_while(|c| *c != '>').collect();
            times = number.parse().expect("a template's repetition is a number");
        }
        match sign {
            '#' => out.push_str(&dice.text(DIGITS, times)),
            '?' => out.push_str(&dice.text(CAPITALS, times)),
            '^' => out.push_str(&dice.text(SMALL, times)),
            '~' => out.push_str(&dice.text(LETTERS_AND_DIGITS, times)),
            '$' => out.push_str(&dice.text(CAPITALS_AND_DIGITS, times)),
            '%' => out.push_str(&dice.text(HEXADECIMAL, times)),
            '&' => out.push_str(&dice.text(BASE64, times)),
            other => out.extend(std::iter::repeat_n(other, times)),
        }
    }
    out
}

/// The kinds of the rules that were written by hand: a rule's id, and how many kinds of secret it has here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Credential(&'static str, &'static str),
    Basic,
    Personal(&'static str, &'static str, Option<Check>),
    Bitcoin,
    Segwit,
    Member(&'static str, &'static [&'static str]),
}

impl Kind {
    pub(super) fn all() -> Vec<Self> {
        let credentials = CREDENTIALS
            .iter()
            .map(|(rule, template)| Self::Credential(rule, template));
        let personal = PERSONAL
            .iter()
            .map(|(rule, template, check)| Self::Personal(rule, template, *check));
        let members = MEMBERS.iter().map(|(rule, keys)| Self::Member(rule, keys));
        let others = [Self::Basic, Self::Bitcoin, Self::Segwit];
        credentials.chain(personal).chain(members).chain(others).collect()
    }

    /// The rule that finds it.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Credential(rule, _) | Self::Personal(rule, ..) | Self::Member(rule, _) => rule,
            Self::Basic => "basic-credentials",
            Self::Bitcoin => "bitcoin-address",
            Self::Segwit => "bitcoin-segwit-address",
        }
    }

    pub(super) fn is_credential(self) -> bool {
        matches!(self, Self::Credential(..) | Self::Basic | Self::Member("credential", _))
    }

    /// A new one.
    pub(super) fn make(self, dice: &mut Dice) -> Secret {
        match self {
            Self::Credential(_, template) => made(template, None, dice),
            Self::Personal(_, template, check) => made(template, check, dice),
            Self::Basic => {
                let pair = format!("{}:{}", dice.text(SMALL, 6), dice.text(LETTERS_AND_DIGITS, 16));
                Secret::text("header Basic ", &BASE64_STANDARD.encode(pair), " was sent")
            }
            Self::Bitcoin => {
                let hash = std::array::from_fn(|_| dice.below(256) as u8);
                Secret::text("to ", &checks::base58check(hash), ".")
            }
            Self::Segwit => Secret::text("", &format!("bc1q{}", dice.text(BECH32, 38)), ""),
            Self::Member(_, keys) => {
                let value = match dice.below(3) {
                    0 => format!("{}{}", 1 + dice.below(9), dice.text(DIGITS, 16)),
                    _ => dice.text(LETTERS_AND_DIGITS, 20),
                };
                Secret::member(dice.one::<&str>(keys), value)
            }
        }
    }
}
