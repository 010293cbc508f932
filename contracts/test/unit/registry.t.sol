// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ProviderRegistry} from "../../src/ProviderRegistry.sol";
import {IProviderRegistry} from "../../src/interfaces/IProviderRegistry.sol";
import {Attestation} from "../../src/interfaces/LedgerTypes.sol";
import {HeadReplay} from "../support/HeadReplay.sol";
import {LedgerTest} from "../support/LedgerTest.sol";
import {Answer, Wallet} from "../support/Wallets.sol";

contract RegistryTest is LedgerTest {
    using HeadReplay for HeadReplay.State;

    Attestation private word;
    HeadReplay.State private replayed;

    function setUp() public override {
        super.setUp();
        word = anAttestation();
    }

    /* ATTEST */

    function test_AttestStoresTheWord() public {
        bytes32 digest = registry.hashAttestation(word);
        bytes memory signature = sign(auditor, digest);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.Attested({
            auditor: auditor.addr,
            provider: provider.addr,
            digest: digest,
            traits: word.traits,
            zone: word.zone,
            validUntil: word.validUntil,
            evidence: word.evidence
        });
        vm.prank(stranger);
        registry.attest(word, signature);
        assertWord(auditor.addr, word.traits, word.zone, word.validUntil);
        assertTrue(registry.isUsed(digest), "used");
        uint256 packed = uint256(word.validUntil) << 216 | uint256(word.zone) << 208 | word.traits;
        assertEq(registry.wordOf(auditor.addr, provider.addr), packed, "word");
    }

    function test_AttestReplacesTheWordBefore() public {
        attest(word);
        Attestation memory others = word;
        others.auditor = buyer.addr;
        registry.attest(others, sign(buyer, registry.hashAttestation(others)));
        others.auditor = auditor.addr;
        (others.traits, others.zone, others.validUntil) = (0x100, 9, word.validUntil + 5);
        attest(others);
        assertWord(auditor.addr, 0x100, 9, word.validUntil + 5);
        assertWord(buyer.addr, word.traits, word.zone, word.validUntil);
    }

    function test_RevertWhen_AttestZeroAddress() public {
        word.provider = address(0);
        expectRefused(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_ZeroAddress.selector));
        // An unreadable signature recovers to address 0, which is nobody's word.
        word = anAttestation();
        word.auditor = address(0);
        vm.expectRevert(IProviderRegistry.ProviderRegistry_ZeroAddress.selector);
        registry.attest(word, new bytes(65));
    }

    function test_RevertWhen_AttestedBefore() public {
        attest(word);
        bytes32 digest = registry.hashAttestation(word);
        expectRefused(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_AlreadyUsed.selector, digest));
        // Nor once another word has replaced it.
        Attestation memory newer = word;
        newer.traits = 0;
        attest(newer);
        expectRefused(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_AlreadyUsed.selector, digest));
        assertWord(auditor.addr, 0, word.zone, word.validUntil);
    }

    function test_RevertWhen_AttestedTooLate() public {
        word.validUntil = uint40(block.timestamp);
        expectRefused(
            abi.encodeWithSelector(
                IProviderRegistry.ProviderRegistry_Expired.selector, word.validUntil, block.timestamp
            )
        );
        word.validUntil += 1;
        attest(word);
    }

    function test_RevertWhen_ATraitCannotBeAttested() public {
        word.traits = 1 << 208;
        expectRefused(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_TraitsOutOfRange.selector, word.traits));
        word.traits = type(uint208).max;
        attest(word);
        assertWord(auditor.addr, type(uint208).max, word.zone, word.validUntil);
    }

    function test_RevertWhen_AttestNotSignedByTheAuditor() public {
        bytes memory refused =
            abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_AuditorSignature.selector, auditor.addr);
        bytes memory signature = sign(provider, registry.hashAttestation(word));
        vm.expectRevert(refused);
        registry.attest(word, signature);
        vm.expectRevert(refused);
        registry.attest(word, "");

        // Signed, and then changed.
        signature = sign(auditor, registry.hashAttestation(word));
        for (uint256 i; i < 5; ++i) {
            Attestation memory changed = anAttestation();
            if (i == 0) changed.provider = otherProvider.addr;
            if (i == 1) changed.traits += 1;
            if (i == 2) changed.zone += 1;
            if (i == 3) changed.validUntil += 1;
            if (i == 4) changed.evidence = "other";
            vm.expectRevert(refused);
            registry.attest(changed, signature);
        }

        // Signed for another registry, and for another chain.
        ProviderRegistry other = new ProviderRegistry();
        vm.expectRevert(refused);
        other.attest(word, signature);
        vm.chainId(7);
        vm.expectRevert(refused);
        registry.attest(word, signature);
    }

    function test_AttestedByAContract() public {
        Wallet wallet = new Wallet(auditor.addr);
        wallet.aim(address(ledger));
        word.auditor = address(wallet);
        for (uint8 i = 1; i <= uint8(Answer.CallsBack); ++i) {
            wallet.become(Answer(i));
            expectRefused(
                abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_AuditorSignature.selector, address(wallet))
            );
        }
        wallet.become(Answer.OwnersKey);
        attest(word);
        assertWord(address(wallet), word.traits, word.zone, word.validUntil);
    }

    /* IS ATTESTED */

    function test_IsAttestedForAllTraitsTogether() public {
        attest(word);
        assertTrue(isAttested(0x07, 7, word.validUntil), "all");
        assertTrue(isAttested(0x05, 7, word.validUntil), "some");
        assertTrue(isAttested(0, 7, word.validUntil), "none");
        assertFalse(isAttested(0x08, 7, word.validUntil), "another");
        assertFalse(isAttested(0x0f, 7, word.validUntil), "one too many");
        // Bits above 207 are zone and time in the word, and never traits.
        assertFalse(isAttested(1 << 208, 7, word.validUntil), "bit of the zone");
        assertFalse(isAttested(1 << 255, 7, word.validUntil), "bit 255");
    }

    function test_IsAttestedForTheZone() public {
        attest(word);
        assertTrue(isAttested(0, 0, word.validUntil), "none asked for");
        assertFalse(isAttested(0, 8, word.validUntil), "another");
    }

    function test_IsAttestedUntilItEnds() public {
        attest(word);
        assertTrue(isAttested(0, 0, word.validUntil - 1), "before");
        assertTrue(isAttested(0, 0, word.validUntil), "at its end");
        assertFalse(isAttested(0, 0, word.validUntil + 1), "beyond");
    }

    function test_IsNotAttestedWithoutAWord() public view {
        assertFalse(isAttested(0, 0, 1), "never");
        assertWord(auditor.addr, 0, 0, 0);
    }

    /* REVOKE */

    function test_RevokeTakesBackTheWord() public {
        attest(word);
        bytes32 digest = registry.hashAttestation(word);
        vm.expectEmit(address(registry));
        emit IProviderRegistry.AttestationRevoked(auditor.addr, provider.addr, digest);
        revoke(word);
        assertWord(auditor.addr, 0, 0, 0);
        assertFalse(isAttested(0, 0, 1), "attested");
        expectRefused(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_AlreadyUsed.selector, digest));
    }

    function test_RevokeLeavesTheNewerWord() public {
        Attestation memory newer = word;
        attest(word);
        newer.zone = 9;
        attest(newer);
        revoke(word);
        assertWord(auditor.addr, word.traits, 9, word.validUntil);
        revoke(newer);
        assertWord(auditor.addr, 0, 0, 0);
    }

    function test_RevokedBeforeItWasSent() public {
        bytes32 digest = registry.hashAttestation(word);
        revoke(word);
        assertTrue(registry.isUsed(digest), "used");
        expectRefused(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_AlreadyUsed.selector, digest));
    }

    function test_RevertWhen_RevokedByAnother() public {
        attest(word);
        vm.expectRevert(
            abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_NotAuditor.selector, auditor.addr, provider.addr)
        );
        vm.prank(provider.addr);
        registry.revoke(word);
        assertWord(auditor.addr, word.traits, word.zone, word.validUntil);
    }

    /* PROFILE AND HEAD */

    function test_ProfileIsTheCallersAlone() public {
        attest(word);
        string[3] memory uris = ["", "https://provider.example/profile.json", text(256)];
        for (uint256 i; i < uris.length; ++i) {
            bytes32 hash = keccak256(bytes(uris[i]));
            vm.expectEmit(address(registry));
            emit IProviderRegistry.ProfileSet(provider.addr, hash, uris[i]);
            vm.prank(provider.addr);
            registry.setProfile(hash, uris[i]);
            assertEq(registry.metadataHash(provider.addr), hash, "hash");
        }
        assertEq(registry.metadataHash(otherProvider.addr), 0, "another's");
        assertWord(auditor.addr, word.traits, word.zone, word.validUntil);
    }

    function test_RevertWhen_TheUriIsTooLong() public {
        string memory uri = text(257);
        vm.expectRevert(abi.encodeWithSelector(IProviderRegistry.ProviderRegistry_UriTooLong.selector, 256, 257));
        registry.setProfile(0, uri);
    }

    function test_HeadAdvancesWithEachEvent() public {
        vm.recordLogs();
        attest(word);
        expectHead(1);
        vm.roll(block.number + 3);
        vm.warp(block.timestamp + 36);
        registry.setProfile("hash", "uri");
        revoke(word);
        expectHead(3);
        (uint208 hash, uint48 count) = registry.head();
        assertEq(uint256(vm.load(address(registry), 0)), uint256(count) << 208 | hash, "slot 0");
    }

    /* CASES */

    function expectRefused(bytes memory reason) private {
        bytes memory signature = sign(auditor, registry.hashAttestation(word));
        vm.expectRevert(reason);
        registry.attest(word, signature);
    }

    function revoke(Attestation memory attestation) private {
        vm.prank(auditor.addr);
        registry.revoke(attestation);
    }

    function isAttested(uint256 traits, uint8 zone, uint40 until) private view returns (bool) {
        return registry.isAttested(auditor.addr, provider.addr, traits, zone, until);
    }

    function assertWord(address auditor_, uint256 traits, uint8 zone, uint40 validUntil) private view {
        (uint256 traits_, uint8 zone_, uint40 validUntil_) = registry.attestationOf(auditor_, provider.addr);
        assertEq(traits_, traits, "traits");
        assertEq(zone_, zone, "zone");
        assertEq(validUntil_, validUntil, "valid until");
    }

    function expectHead(uint48 count) private {
        HeadReplay.State memory state = replayed;
        state.advance(vm.getRecordedLogs(), address(registry));
        replayed = state;
        (uint208 hash, uint48 count_) = registry.head();
        assertEq(count_, count, "count");
        assertEq(state.count, count, "replayed count");
        assertEq(state.hash, hash, "replayed hash");
    }

    function text(uint256 length) private pure returns (string memory) {
        bytes memory buffer = new bytes(length);
        for (uint256 i; i < length; ++i) {
            buffer[i] = bytes1(uint8(97 + i % 26));
        }
        return string(buffer);
    }
}
