"""SHA-256 of the files of published data sets, by the name of the set and of the file.

`sha256sum FILE` gives the same. Sets that are split by `benchmarks/` have those of the parts that
its scripts write. SQuAD's are tensorflow-datasets' own. Of sets that are not here no file was at
hand, or none that its authors published (BIOSSES', which is a table of one's own making, and
BioASQ's, which change from year to year).
"""

from collections.abc import Mapping

SHA256: Mapping[str, str] = {
    "ncbi_disease/train.tsv": "26df55fb9da14f52834c7c7238ec30af271aa4e3bbe2256ef96cab2c0a7e159b",
    "ncbi_disease/devel.tsv": "a91324724fa0783ef3096f060580e6b4e8dfdf83664d48e77951a45b693c0eaa",
    "ncbi_disease/test.tsv": "ca56aff802f8c8849793e806914636f7c9d8bf03bbd88c66402266289beb3995",
    "bc5cdr_disease/train.tsv": "ed209466f99f192460c8b2079cb9dd688c445ce1f2601c2c141f6a84b4a7edf2",
    "bc5cdr_disease/devel.tsv": "405332504d3f6d577f33084494d0916bcdfee789aa1bd954e93a5b79239c2967",
    "bc5cdr_disease/test.tsv": "a291f73998031d910dd84ae3c52c744d10ddc44042895056f978c39838bd48b3",
    "bc5cdr_chem/train.tsv": "1272b747a1d64ccfaa21061c515c26e9e1f134e3afd3c2ef14d8cd0697e9a234",
    "bc5cdr_chem/devel.tsv": "17a6bc43d459c9dedaedad7990eb44ce0c4789a3a9813104aef9d2f3192c8fd0",
    "bc5cdr_chem/test.tsv": "4da9183ad83d0921eaca25ba011871308b9476c14f9b10fba7bfee55a9750649",
    "bc2gm/train.tsv": "1f180df262ba11c108bf798eae9d94e2090b51985694eb5acd8e9c544045f9a0",
    "bc2gm/devel.tsv": "634e84223ef02cf231fa4b5a5a256ad581efe1405c5bb31986ac0cf055b64e38",
    "bc2gm/test.tsv": "ea0d230134416109a1feb1ff4169e43b89893ef93b91e392c2534944828b724a",
    "gad_1/train.tsv": "21e3765852a13cf03e6e759e201c5ad2d18b10d3ab05a8ac6bd7510f18f68fec",
    "gad_1/test.tsv": "68fe2b2bddefac2cd5d35b4bc8a13bceee95ee9a582a623632981e893cdb512e",
    "gad_2/train.tsv": "c920a8977d3963708be4115d440c4ad04f09de2d9facd3b3b64082287cc6e09a",
    "gad_2/test.tsv": "51600ff88ed405725e8860f11b8c2d17cbb38b420a8faa83eaaf44c21bbb89d4",
    "gad_3/train.tsv": "69993033b7d9717cac902d2108ce9e5cb65a294da5a342043cd7a76e9e459cac",
    "gad_3/test.tsv": "72058831d5c983b4b9a5db93011c851c02cd7be4c91df271502df3f2dccce50a",
    "gad_4/train.tsv": "980f3fe19676dac4e40595b0a6c76965161de341cd9a304ec493d8e003a61df4",
    "gad_4/test.tsv": "9bf6dd6986899367f8e028fa5a24f02b15dabb2621e344d6d8e4787c056f1de6",
    "gad_5/train.tsv": "25b2f6ff645839e6cf55f12526f3692bb689176e9f1bd757cfc52cb71ca8109d",
    "gad_5/test.tsv": "dbac9eba54f137ce01d3b29bc6dd4f61a2881ef0a2990193ff53b1d95f1a6e30",
    "gad_6/train.tsv": "5588e16c9e9698c8fbf73d26814202e0d1016721b5f5415c0d75e474159a552c",
    "gad_6/test.tsv": "7d6ec806d9152670bcfecb6f56703116756e51d438bc16e9aed272186f7af679",
    "gad_7/train.tsv": "f8e5b6b4498978d484d098da4168e91a54894d383ad5af75ea6f1fd96ef4a0bf",
    "gad_7/test.tsv": "32462105be3f2637d9b9aa452101812b329f0350a10de31dfff240aca4766b0e",
    "gad_8/train.tsv": "f4ad27106243e667c3e2fe6040393a9baf62cb4edee5ceada7105db6bd77141f",
    "gad_8/test.tsv": "e78c0eb47929002b99ff82534853a6261376c461e479759e50456a84be7c151f",
    "gad_9/train.tsv": "41c7f5b639a64058d5a09e698503463147369bb9b8c61f51da8bca582ca4464b",
    "gad_9/test.tsv": "5e673314a57edf65020d37fe3d36d59c39b878a79a36d30f44cef1344af0abf5",
    "gad_10/train.tsv": "0296153d9c30da60ab73727c85deaf7a6b0149e43b06b42316227419b257d03b",
    "gad_10/test.tsv": "d12df5d5418f91ff0170511593489b87e4046e9ca04e4a5cea14a5334a2982d2",
    "chemprot/train.tsv": "f69f85e7b449defe6bec4eea7005114293c2fc4919b9fb474411b9120239439b",
    "chemprot/dev.tsv": "71be2ade9dce952da88f09dc61fbc309f96d9698fbd64e6ef4cb597f3d87c3be",
    "chemprot/test.tsv": "9b9774a598cbdbeb89894b4117cf35d102331860e91f4aed1e2ff8cc839cf2f0",
    "hoc/train.jsonl": "406556a04433c775d3b2653ddee9257610d48dcb89e9c545965e6cb87a3b1dcb",
    "hoc/devel.jsonl": "c69a40b01a402dd60254c132b213c9eac310019f5a9c7c6284686a90263aa32a",
    "hoc/test.jsonl": "bc104e5de48a7f40bc9e6c9ed2f363ef62616804edc54d266699e8542528a046",
    "pubmedqa/train.json": "c740480eb5f6d5b9c9c0a8bc8c123e90e42dc2dc139e7b2aefbb3750f3875462",
    "pubmedqa/devel.json": "ca3b1d25e648e8060f6f0dbddc58f701ff8cc4ec63bc10395ea78c050cbedd92",
    "pubmedqa/test.json": "64e54d88e4d817ee86a337083322fcdae1d6c50b2af72d71651635efd27397d0",
    "squad/dev-v1.1.json": "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
    "squad2/dev-v2.0.json": "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8",
    "squad/train-v1.1.json": "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
    "squad2/train-v2.0.json": "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002",
}
