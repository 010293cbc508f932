// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";

import {EventHead} from "../../src/EventHead.sol";
import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {IComputeLedger} from "../../src/interfaces/IComputeLedger.sol";
import {Attestation, BookReceipt, Offer, Order, UsageReceipt, Voucher} from "../../src/interfaces/LedgerTypes.sol";
import {Resources} from "../../src/libraries/Resources.sol";

/// @dev The golden vectors that Python wrote: both languages must agree on every digest, comparison and head.
contract MessagesTest is Test {
    string private constant OFFER = "Offer(address provider,uint256 quantities,uint256 traits,uint8 zone,uint8 meter,"
        "uint32 rate,uint32 capacity,uint32 minDuration,uint32 maxDuration,uint32 notice,uint48 minCharge,uint48 bond,"
        "address arbiter,uint40 expiry,uint64 epoch,uint256 salt)";
    string private constant ORDER = "Order(address buyer,address voucherSigner,bytes32 job,uint256 quantities,"
        "uint256 allOf,uint256 anyOf,uint256 noneOf,uint256 zones,bool distinctZones,address auditor,uint256 attested,"
        "uint8 meter,uint32 maxRate,uint64 quantity,uint32 duration,uint48 budget,uint8 replicas,uint8 quorum,"
        "uint8 maxLeases,uint48 bond,uint32 notice,uint48 minCharge,address arbiter,uint32 challengeWindow,"
        "address matcher,address deputy,uint40 matcherUntil,uint48 fee,uint40 expiry,uint64 epoch,uint256 salt)";
    string private constant VOUCHER =
        "Voucher(bytes32 lease,address provider,uint48 cumulative,bytes32 result,bool last)";
    string private constant USAGE_RECEIPT = "UsageReceipt(bytes32 lease,uint32 sequence,uint64 meteredUntil,"
        "uint64 work,bytes32 result,bytes32 checkpoint)";
    string private constant ATTESTATION =
        "Attestation(address auditor,address provider,uint256 traits,uint8 zone,uint40 validUntil,bytes32 evidence)";
    string private constant BOOK_RECEIPT =
        "BookReceipt(address matcher,bytes32 hash,uint64 sequence,uint40 receivedAt)";

    string private json;
    IComputeLedger private ledger;

    function setUp() public {
        json = vm.readFile("../tests/vectors/messages.json");
        vm.chainId(vm.parseJsonUint(json, ".domain.chainId"));
        ledger = IComputeLedger(vm.parseJsonAddress(json, ".domain.verifyingContract"));
        ProviderRegistry registry = new ProviderRegistry();
        deployCodeTo("ComputeLedger.sol:ComputeLedger", abi.encode(address(1), registry, uint32(10)), address(ledger));
    }

    function test_Offers() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at("offers", i)); ++i) {
            bytes memory encoded = vm.parseJsonType(json, message("offers", i), OFFER);
            assertVector("offers", i, OFFER, encoded, ledger.hashOffer(abi.decode(encoded, (Offer))));
        }
        assertGt(i, 0, "vectors");
    }

    function test_Orders() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at("orders", i)); ++i) {
            bytes memory encoded = vm.parseJsonType(json, message("orders", i), ORDER);
            assertVector("orders", i, ORDER, encoded, ledger.hashOrder(abi.decode(encoded, (Order))));
        }
        assertGt(i, 0, "vectors");
    }

    function test_Vouchers() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at("vouchers", i)); ++i) {
            bytes memory encoded = vm.parseJsonType(json, message("vouchers", i), VOUCHER);
            assertVector("vouchers", i, VOUCHER, encoded, ledger.hashVoucher(abi.decode(encoded, (Voucher))));
        }
        assertGt(i, 0, "vectors");
    }

    function test_UsageReceipts() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at("usageReceipts", i)); ++i) {
            bytes memory encoded = vm.parseJsonType(json, message("usageReceipts", i), USAGE_RECEIPT);
            bytes32 digest = ledger.hashUsageReceipt(abi.decode(encoded, (UsageReceipt)));
            assertVector("usageReceipts", i, USAGE_RECEIPT, encoded, digest);
        }
        assertGt(i, 0, "vectors");
    }

    /// The registry has the domain of its own address; the vectors have one address for all.
    function test_Attestations() public {
        deployCodeTo("ProviderRegistry.sol:ProviderRegistry", address(ledger));
        ProviderRegistry registry = ProviderRegistry(address(ledger));
        uint256 i;
        for (; vm.keyExistsJson(json, at("attestations", i)); ++i) {
            bytes memory encoded = vm.parseJsonType(json, message("attestations", i), ATTESTATION);
            bytes32 digest = registry.hashAttestation(abi.decode(encoded, (Attestation)));
            assertVector("attestations", i, ATTESTATION, encoded, digest);
        }
        assertGt(i, 0, "vectors");
    }

    /// The type that no contract reads.
    function test_BookReceipts() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at("bookReceipts", i)); ++i) {
            bytes memory encoded = vm.parseJsonType(json, message("bookReceipts", i), BOOK_RECEIPT);
            BookReceipt memory decoded = abi.decode(encoded, (BookReceipt));
            assertVector("bookReceipts", i, BOOK_RECEIPT, abi.encode(decoded), digestOf(BOOK_RECEIPT, encoded));
        }
        assertGt(i, 0, "vectors");
    }

    function test_Resources() public view {
        uint256 i;
        for (; vm.keyExistsJson(json, at("resources", i)); ++i) {
            string memory key = at("resources", i);
            bool covers = Resources.covers({
                offered: uint256(vm.parseJsonBytes32(json, string.concat(key, ".offered"))),
                needed: uint256(vm.parseJsonBytes32(json, string.concat(key, ".needed")))
            });
            assertEq(covers, vm.parseJsonBool(json, string.concat(key, ".covers")), key);
        }
        assertGt(i, 0, "vectors");
    }

    function test_Heads() public {
        HeadHarness harness = new HeadHarness();
        uint256 i;
        for (; vm.keyExistsJson(json, at("heads", i)); ++i) {
            string memory key = at("heads", i);
            vm.roll(vm.parseJsonUint(json, string.concat(key, ".blockNumber")));
            vm.warp(vm.parseJsonUint(json, string.concat(key, ".timestamp")));
            uint256 next = harness.next(
                uint256(vm.parseJsonBytes32(json, string.concat(key, ".head"))),
                vm.parseJsonUint(json, string.concat(key, ".count")),
                vm.parseJsonBytes32(json, string.concat(key, ".eventHash"))
            );
            assertEq(next, uint256(vm.parseJsonBytes32(json, string.concat(key, ".next"))), key);
        }
        assertGt(i, 0, "vectors");
    }

    function assertVector(string memory kind, uint256 i, string memory typeText, bytes memory encoded, bytes32 digest)
        private
        view
    {
        string memory key = at(kind, i);
        bytes32 structHash = keccak256(bytes.concat(keccak256(bytes(typeText)), encoded));
        assertEq(
            structHash, vm.parseJsonBytes32(json, string.concat(key, ".structHash")), string.concat(key, " struct")
        );
        assertEq(digest, vm.parseJsonBytes32(json, string.concat(key, ".digest")), string.concat(key, " digest"));

        bytes memory signature = vm.parseJsonBytes(json, string.concat(key, ".signature"));
        (bytes32 r, bytes32 s) = abi.decode(signature, (bytes32, bytes32));
        address signer = ecrecover(digest, uint8(signature[64]), r, s);
        assertEq(signer, vm.parseJsonAddress(json, string.concat(key, ".signer")), string.concat(key, " signer"));
    }

    function digestOf(string memory typeText, bytes memory encoded) private view returns (bytes32) {
        bytes32 separator = vm.parseJsonBytes32(json, ".domain.separator");
        bytes32 structHash = keccak256(bytes.concat(keccak256(bytes(typeText)), encoded));
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }

    function at(string memory kind, uint256 i) private pure returns (string memory) {
        return string.concat(".", kind, "[", vm.toString(i), "]");
    }

    function message(string memory kind, uint256 i) private pure returns (string memory) {
        return string.concat(at(kind, i), ".message");
    }
}

contract HeadHarness is EventHead {
    function next(uint256 hash, uint256 count, bytes32 eventHash) external view returns (uint256) {
        return uint208(uint256(_next(hash, count, eventHash)));
    }
}
