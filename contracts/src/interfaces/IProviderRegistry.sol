// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Attestation} from "./LedgerTypes.sol";

/// @title What auditors say about providers, and what providers say about themselves
/// @notice Ownerless. The ledger reads attestations at `open`; profiles are for display alone and decide nothing.
/// @dev Warning: an attestation is as good as its auditor. The buyer's order names the auditor; the registry judges nobody.
interface IProviderRegistry {
    /// @notice An auditor's word stands until `validUntil`; it replaces the auditor's word before.
    event Attested(
        address indexed auditor,
        address indexed provider,
        bytes32 indexed digest,
        uint256 traits,
        uint8 zone,
        uint40 validUntil,
        bytes32 evidence
    );

    /// @notice The auditor took back its word with this digest, sent or not; it can never be sent (again).
    event AttestationRevoked(address indexed auditor, address indexed provider, bytes32 indexed digest);

    /// @notice How a provider shows itself. Untrusted text.
    event ProfileSet(address indexed provider, bytes32 metadataHash, string uri);

    error ProviderRegistry_ZeroAddress();
    error ProviderRegistry_Expired(uint40 validUntil, uint256 time);
    error ProviderRegistry_AlreadyUsed(bytes32 digest);
    error ProviderRegistry_AuditorSignature(address auditor);
    error ProviderRegistry_TraitsOutOfRange(uint256 traits);
    error ProviderRegistry_NotAuditor(address auditor, address caller);
    error ProviderRegistry_UriTooLong(uint256 maximum, uint256 length);

    /// @notice Records an attestation, signed by `attestation.auditor` (EIP-712 with this registry's own domain). Once; anyone
    /// may send it. Attestable traits are the bits 0..207.
    function attest(Attestation calldata attestation, bytes calldata signature) external;

    /// @notice The auditor takes back an attestation, even one that was never sent. Leases that are open stay.
    function revoke(Attestation calldata attestation) external;

    /// @notice Sets the caller's profile; attestations stay as they are.
    /// @param uri at most 256 bytes
    function setProfile(bytes32 metadataHash, string calldata uri) external;

    /// @notice What `auditor` says about `provider`, in one word: traits (bits 0..207), zone (208..215), validUntil (216..255). For
    /// callers that count gas.
    function wordOf(address auditor, address provider) external view returns (uint256);

    /// @notice Whether `auditor` attests all of `traits` to `provider` until `until` at least, and, if `zone` is not 0, the zone.
    /// @param until unix seconds; the attestation must hold while time < until
    function isAttested(address auditor, address provider, uint256 traits, uint8 zone, uint40 until)
        external
        view
        returns (bool);

    function attestationOf(address auditor, address provider)
        external
        view
        returns (uint256 traits, uint8 zone, uint40 validUntil);
    function isUsed(bytes32 digest) external view returns (bool);
    function metadataHash(address provider) external view returns (bytes32);
    function hashAttestation(Attestation calldata attestation) external view returns (bytes32);

    /// @notice hash of all events so far (208 bits) and their count.
    function head() external view returns (uint208 hash, uint48 count);
}
