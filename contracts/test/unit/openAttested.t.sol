// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Attestation, EndReason, LeaseState, Offer, Order, Skip} from "../../src/interfaces/LedgerTypes.sol";
import {LedgerTest} from "../support/LedgerTest.sol";

contract OpenAttestedTest is LedgerTest {
    uint256 private constant ZONE_BIT = 1 << 255;

    Order private order;

    function setUp() public override {
        super.setUp();
        order = anOrder();
        order.auditor = auditor.addr;
        order.attested = 0x05;
    }

    function test_NothingAttestedIsAskedFor() public {
        order.attested = 0;
        open(order, 0);
        order.auditor = address(0);
        open(order, 0);
    }

    function test_OpensWithAWordThatCoversIt() public {
        attest(anAttestation());
        open(order, 0);
    }

    function test_SkipWhen_NoWord() public {
        expectRefused();
        // Another provider's, and another auditor's.
        Attestation memory word = anAttestation();
        word.provider = otherProvider.addr;
        attest(word);
        expectRefused();
        word = anAttestation();
        word.auditor = buyer.addr;
        registry.attest(word, sign(buyer, registry.hashAttestation(word)));
        expectRefused();
    }

    function test_SkipWhen_ATraitIsMissing() public {
        attest(anAttestation());
        order.attested = 0x08;
        expectRefused();
        order.attested = 0x0f;
        expectRefused();
        order.attested = 0x07;
        open(order, 0);
    }

    function test_SkipWhen_ATraitCannotBeAttested() public {
        Attestation memory word = anAttestation();
        word.traits = type(uint208).max;
        attest(word);
        order.attested = 1 << 207;
        open(order, 0);
        for (uint256 bit = 208; bit < 255; ++bit) {
            order.attested = 1 << bit;
            expectRefused();
        }
    }

    function test_SkipWhen_TheWordEndsBeforeTheLease() public {
        uint40 end = uint40(block.timestamp + DURATION);
        attestUntil(end - 1);
        expectRefused();
        attestUntil(end);
        open(order, 0);
        order.salt += 1;
        attestUntil(end + 1);
        open(order, 0);
        // A second later the same lease would last a second longer.
        order.salt += 1;
        attestUntil(end);
        vm.warp(block.timestamp + 1);
        expectRefused();
    }

    function test_SkipWhen_Revoked() public {
        Attestation memory word = anAttestation();
        attest(word);
        bytes32 lease = open(order, 0);
        vm.prank(auditor.addr);
        registry.revoke(word);
        assertState(lease, LeaseState.Open);
        closeAs(matcher, order, EndReason.Unresponsive);
        expectSkipped(anOffer(), provider, matchOf(order, buyer, 1), Skip.Attestation);
        order.salt += 1;
        expectRefused();
    }

    function test_ZoneBitAsksForTheZone() public {
        Offer memory offer = anOffer();
        attest(anAttestation());
        offer.zone = 8;
        // Without the bit the zone is the provider's own word.
        openWith(offer, provider, order, 0);
        order.attested |= ZONE_BIT;
        expectSkipped(offer, order, Skip.Attestation);
        offer.zone = 7;
        openWith(offer, provider, order, 0);
        order.attested = ZONE_BIT;
        openWith(offer, provider, order, 0);
        order.zones = 0;
        offer.zone = 0;
        expectSkipped(offer, order, Skip.Zone);
    }

    function test_SkipWhen_TheZoneAloneIsNotAttested() public {
        order.attested = ZONE_BIT;
        expectRefused();
        Attestation memory word = anAttestation();
        word.zone = 0;
        attest(word);
        expectRefused();
    }

    function attestUntil(uint40 validUntil) private {
        Attestation memory word = anAttestation();
        word.validUntil = validUntil;
        word.evidence = keccak256(abi.encode(validUntil, block.timestamp, order.salt));
        attest(word);
    }

    function expectRefused() private {
        expectSkipped(anOffer(), order, Skip.Attestation);
    }
}
