/** What the core imports. The module name of the import is this file's: `env`. */

/** Takes the time: `phase` (PHASE_*) begins. Called only while VCPU_PHASES is set. */
export declare function phaseClock(phase: u32): void;
