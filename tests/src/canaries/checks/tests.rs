use super::*;

#[test]
fn numbers_from_the_authorities_own_documents_pass() {
    for (check, right) in [
        (luhn as Check, "4012 8888 8888 1881"),
        (iban, "GB82WEST12345698765432"),
        (us_routing, "021000021"),
        (us_npi, "1234567893"),
        (uk_nhs, "943 476 5919"),
        (mod_11_10, "86095742719"),
        (fr_nir, "2 55 08 14 168 025 38"),
        (es_dni, "12345678Z"),
        (it_fiscal_code, "RSSMRA85T10A562S"),
        (pt_nif, "123456789"),
        (nl_bsn, "111222333"),
        (be_national, "85.07.30-033 28"),
        (pl_pesel, "44051401359"),
        (se_personal, "811228-9874"),
        (no_birth, "15108695088"),
        (fi_personal, "131052-308T"),
        (ch_ahv, "756.9217.0769.85"),
        (at_svnr, "1237 010180"),
        (cz_birth, "710319/2745"),
        (ro_cnp, "1630615123457"),
        (bg_egn, "7523169263"),
        (ee_personal, "36805280109"),
        (gr_amka, "01013099997"),
        (ie_pps, "6433435F"),
        (tr_identity, "17291716060"),
        (verhoeff, "2341 2341 2346"),
        (cn_resident, "360426199101010071"),
        (jp_my_number, "1234 5678 9018"),
        (kr_resident, "971013-9019902"),
        (sg_nric, "S1234567D"),
        (au_tfn, "123 456 782"),
        (au_medicare, "2123 45670 1"),
        (nz_ird, "49-091-850"),
        (br_cpf, "390.533.447-05"),
        (br_cnpj, "16.727.230/0001-97"),
        (ar_cuit, "20-05536168-2"),
        (cl_rut, "12.531.909-2"),
        (za_identity, "7503305044089"),
    ] {
        assert!(check(right), "{right}");
    }
    // The genesis block's address.
    let hash = [
        0x62, 0xe9, 0x07, 0xb1, 0x5c, 0xbf, 0x27, 0xd5, 0x42, 0x53, 0x99, 0xeb, 0xf6, 0xf0, 0xfb, 0x50, 0xeb, 0xb8,
        0x8f, 0x18,
    ];
    assert_eq!(base58check(hash), "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa");
}
