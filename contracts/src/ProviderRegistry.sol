// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Domain} from "./Domain.sol";
import {EventHead} from "./EventHead.sol";
import {IProviderRegistry} from "./interfaces/IProviderRegistry.sol";
import {Attestation} from "./interfaces/LedgerTypes.sol";
import {AttestedWord} from "./libraries/AttestedWord.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title ProviderRegistry
/// @notice The interface is the manual.
contract ProviderRegistry is EventHead, Domain, IProviderRegistry {
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(address auditor,address provider,uint256 traits,uint8 zone,uint40 validUntil,bytes32 evidence)"
    );

    /// Bytes.
    uint256 private constant MAX_URI = 256;

    mapping(address auditor => mapping(address provider => uint256)) private _words;
    mapping(address auditor => mapping(address provider => bytes32 digest)) private _standing;
    mapping(bytes32 digest => bool) private _used;
    mapping(address provider => bytes32) public metadataHash;

    /// @inheritdoc IProviderRegistry
    function attest(Attestation calldata attestation, bytes calldata signature) external {
        address auditor = attestation.auditor;
        address provider = attestation.provider;
        bytes32 digest = hashAttestation(attestation);

        // Check: it is new, it holds, it fits, and the auditor said it.
        require(auditor != address(0) && provider != address(0), ProviderRegistry_ZeroAddress());
        require(!_used[digest], ProviderRegistry_AlreadyUsed(digest));
        require(
            block.timestamp < attestation.validUntil, ProviderRegistry_Expired(attestation.validUntil, block.timestamp)
        );
        require(attestation.traits <= AttestedWord.TRAITS, ProviderRegistry_TraitsOutOfRange(attestation.traits));
        require(
            Signatures.recover(digest, signature) == auditor || Signatures.isValidNow(auditor, digest, signature),
            ProviderRegistry_AuditorSignature(auditor)
        );

        // Effect: it stands, for ever once.
        _used[digest] = true;
        _standing[auditor][provider] = digest;
        _words[auditor][provider] =
            AttestedWord.pack({traits: attestation.traits, zone: attestation.zone, validUntil: attestation.validUntil});
        _emit({
            topics: 4,
            encoded: abi.encode(
                Attested.selector,
                auditor,
                provider,
                digest,
                attestation.traits,
                attestation.zone,
                attestation.validUntil,
                attestation.evidence
            )
        });
    }

    /// @inheritdoc IProviderRegistry
    function revoke(Attestation calldata attestation) external {
        address auditor = attestation.auditor;
        address provider = attestation.provider;

        // Check: it is the caller's own word.
        require(msg.sender == auditor, ProviderRegistry_NotAuditor(auditor, msg.sender));

        // Effect: it can never be sent again, and does not stand if it stood.
        bytes32 digest = hashAttestation(attestation);
        _used[digest] = true;
        if (_standing[auditor][provider] == digest) {
            delete _standing[auditor][provider];
            delete _words[auditor][provider];
        }
        _emit({topics: 4, encoded: abi.encode(AttestationRevoked.selector, auditor, provider, digest)});
    }

    /// @inheritdoc IProviderRegistry
    function setProfile(bytes32 metadataHash_, string calldata uri) external {
        // Check: nobody has to store a book.
        uint256 length = bytes(uri).length;
        require(length <= MAX_URI, ProviderRegistry_UriTooLong(MAX_URI, length));

        // Effect: it shows itself so.
        metadataHash[msg.sender] = metadataHash_;
        // The layout of `abi.encode(selector, provider, metadataHash, uri)` counts the string's place from the selector.
        _emit({
            topics: 2,
            encoded: bytes.concat(abi.encode(ProfileSet.selector, msg.sender), abi.encode(metadataHash_, uri))
        });
    }

    /* VIEWS */

    /// @inheritdoc IProviderRegistry
    function isAttested(address auditor, address provider, uint256 traits, uint8 zone, uint40 until)
        external
        view
        returns (bool)
    {
        uint256 word = _words[auditor][provider];
        return AttestedWord.covers({word: word, traits: traits, zone: zone, until: until});
    }

    /// @inheritdoc IProviderRegistry
    function wordOf(address auditor, address provider) external view returns (uint256) {
        return _words[auditor][provider];
    }

    /// @inheritdoc IProviderRegistry
    function attestationOf(address auditor, address provider)
        external
        view
        returns (uint256 traits, uint8 zone, uint40 validUntil)
    {
        return AttestedWord.unpack(_words[auditor][provider]);
    }

    /// @inheritdoc IProviderRegistry
    function isUsed(bytes32 digest) external view returns (bool) {
        return _used[digest];
    }

    /// @inheritdoc IProviderRegistry
    function head() external view returns (uint208 hash, uint48 count) {
        Head memory head_ = _loadHead();
        return (uint208(head_.hash), uint48(head_.count));
    }

    /// @inheritdoc IProviderRegistry
    function hashAttestation(Attestation calldata attestation) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(ATTESTATION_TYPEHASH, attestation)));
    }

    function _emit(uint256 topics, bytes memory encoded) private {
        Head memory head_ = _loadHead();
        _record({head_: head_, topics: topics, encoded: encoded});
        _storeHead(head_);
    }
}
