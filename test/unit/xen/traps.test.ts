import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  EXIT_KILL,
  EXIT_TRAP,
  KILL_XEN_BAD_HANDLER,
  KILL_XEN_BAD_IRET,
  KILL_XEN_BAD_STACK,
  KILL_XEN_UNHANDLED_TRAP,
  NMI_BLOCKED,
  NMI_PENDING,
  VCPU_CPL,
  VCPU_CR2,
  VCPU_EIP,
  VCPU_LEAVING_TRAPS,
  VCPU_NMI,
} from "../../../abi/vcpu.ts";
import {
  EFLAGS_IF,
  EFLAGS_TF,
  PFERR_USER,
  REG_EAX,
  REG_EBP,
  REG_EBX,
  REG_ESP,
  SEG_CS,
  SEG_DS,
  SEG_SS,
  VECTOR_GP,
  VECTOR_NM,
  VECTOR_NMI,
  VECTOR_PF,
  VECTOR_UD,
} from "../../../abi/x86.ts";
import {
  FLAT_RING1_CS,
  FLAT_RING1_SS,
  FLAT_RING3_CS,
  FLAT_RING3_SS,
  HYPERVISOR_FPU_TASKSWITCH,
  HYPERVISOR_IRET,
  HYPERVISOR_NMI_OP,
  HYPERVISOR_SET_CALLBACKS,
  HYPERVISOR_STACK_SWITCH,
  HYPERVISOR_VIRT_START,
  TRAP_INFO_MASK_EVENTS,
  XENNMI_REGISTER_CALLBACK,
} from "../../../abi/xen.ts";
import { VI_CR2, VI_UPCALL_MASK } from "../../../abi/xen-layout.ts";
import { intN, load, movImm, nop, store, ud2 } from "../protect/assembler.ts";
import {
  CODE,
  DATA,
  Domain,
  EVENT_HANDLER,
  FAILSAFE_HANDLER,
  HANDLERS,
  KERNEL_STACK,
  M2P_MFN,
  mfnOf,
  SHARED_INFO_MFN,
  STOP,
  STOP_EVENT,
  STOP_FAILSAFE,
  STOP_HANDLER,
  UNMAPPED_PAGE,
  USER_CODE,
  USER_STACK,
} from "./domain.ts";

const HOLE = UNMAPPED_PAGE << 12;
/** EFLAGS with nothing but the fixed bit, and RF as a fault leaves it. */
const RF = 0x10000;

let domain: Domain;
beforeEach(() => {
  domain = new Domain();
});
afterEach(() => {
  domain.destroy();
});

function setCallbacks(): void {
  domain.call(
    HYPERVISOR_SET_CALLBACKS,
    FLAT_RING1_CS,
    EVENT_HANDLER,
    FLAT_RING1_CS,
    FAILSAFE_HANDLER,
  );
  domain.call(HYPERVISOR_STACK_SWITCH, FLAT_RING1_SS, KERNEL_STACK);
}

describe("a frame for a trap in ring 1", () => {
  it("is pushed on the stack in use, with the event mask in the upper half of CS", () => {
    domain.setTraps([VECTOR_UD, 0]);
    expect(domain.execute(1, ud2)).toBe(STOP_HANDLER + VECTOR_UD);
    expect(domain.vcpu.gpr(REG_ESP)).toBe(KERNEL_STACK - 12);
    expect(domain.frame(3)).toEqual([CODE, FLAT_RING1_CS | 0x10000, 2 | RF]);
    expect(domain.vcpu.u32(VCPU_CPL)).toBe(1);
  });

  it("shows IF when events are not masked, and masks them only when asked to", () => {
    domain.setTraps([VECTOR_UD, 0], [VECTOR_NM, TRAP_INFO_MASK_EVENTS]);
    domain.setUpcall({ masked: false });
    domain.execute(1, ud2);
    expect(domain.frame(3)).toEqual([CODE, FLAT_RING1_CS, 2 | EFLAGS_IF | RF]);
    expect(domain.upcallMasked).toBe(false);
    domain.call(HYPERVISOR_FPU_TASKSWITCH, 1);
    expect(domain.execute(1, [0xd9, 0xe8])).toBe(STOP_HANDLER + VECTOR_NM);
    expect(domain.upcallMasked).toBe(true);
  });

  it("carries the error code of a page fault, whose address is in CR2 and vcpu_info", () => {
    domain.setTraps([VECTOR_PF, 0]);
    expect(domain.execute(1, load(SEG_DS, HOLE + 0x123))).toBe(STOP_HANDLER + VECTOR_PF);
    expect(domain.frame(2)).toEqual([0, CODE]);
    expect(domain.info32(VI_CR2)).toBe(HOLE + 0x123);
    expect(domain.vcpu.u32(VCPU_CR2)).toBe(HOLE + 0x123);
  });
});

describe("a frame for a trap in ring 3", () => {
  it("is pushed on the kernel's stack, with SS and ESP", () => {
    domain.setTraps([VECTOR_PF, 0]);
    setCallbacks();
    expect(domain.execute(3, load(SEG_DS, HOLE))).toBe(STOP_HANDLER + VECTOR_PF);
    expect(domain.frame(6)).toEqual([
      PFERR_USER,
      USER_CODE,
      FLAT_RING3_CS | 0x10000,
      2 | RF,
      USER_STACK,
      FLAT_RING3_SS,
    ]);
    expect(domain.vcpu.segment(SEG_SS).selector).toBe(FLAT_RING1_SS);
    expect(domain.vcpu.segment(SEG_CS).selector).toBe(FLAT_RING1_CS);
  });

  it("lets INT n through when the handler has DPL 3", () => {
    domain.setTraps([0x80, 3], [VECTOR_GP, 0]);
    setCallbacks();
    expect(domain.execute(3, intN(0x80))).toBe(STOP_HANDLER + 0x80);
    expect(domain.frame(1)).toEqual([USER_CODE + 2]);
  });

  it("makes INT n of lesser handlers a general-protection fault at the instruction", () => {
    domain.setTraps([0x20, 1], [VECTOR_GP, 0]);
    setCallbacks();
    for (const vector of [0x20, 0x80, 0x82]) {
      expect(domain.execute(3, intN(vector))).toBe(STOP_HANDLER + VECTOR_GP);
      expect(domain.frame(2)).toEqual([(vector << 3) | 2, USER_CODE]);
    }
    expect(domain.execute(1, intN(0x20))).toBe(STOP_HANDLER + 0x20);
  });
});

describe("a domain is over", () => {
  it("when a trap has no handler", () => {
    domain.enter(1);
    domain.assemble(CODE, ud2);
    expect(domain.core.exports.run(domain.vcpu.ptr, 10)).toBe(EXIT_KILL);
    expect(domain.vcpu.exitArg(0)).toBe(KILL_XEN_UNHANDLED_TRAP);
    expect([domain.vcpu.exitArg(1), domain.vcpu.exitArg(2)]).toEqual([VECTOR_UD, CODE]);
  });

  it("when the frame cannot be pushed", () => {
    domain.setTraps([VECTOR_UD, 0]);
    domain.enter(1);
    domain.vcpu.setGpr(REG_ESP, HOLE + 8);
    domain.assemble(CODE, ud2);
    expect(domain.core.exports.run(domain.vcpu.ptr, 10)).toBe(EXIT_KILL);
    expect(domain.vcpu.exitArg(0)).toBe(KILL_XEN_BAD_STACK);
  });

  it("when iret leads to ring 0 or its frame cannot be read", () => {
    for (const esp of [KERNEL_STACK - 24, HOLE]) {
      domain.enter(1);
      domain.write32(KERNEL_STACK - 24, 0, CODE, 0xe008, 0x202);
      domain.vcpu.setGpr(REG_ESP, esp);
      domain.assemble(CODE, movImm(REG_EAX, HYPERVISOR_IRET), intN(0x82));
      expect(domain.core.exports.run(domain.vcpu.ptr, 10)).toBe(EXIT_KILL);
      expect(domain.vcpu.exitArg(0)).toBe(KILL_XEN_BAD_IRET);
    }
  });

  it("when a selector on the way back is bad and there is no failsafe callback", () => {
    iretTo(0xdead_0000, 0x1b9, 0x202);
    expect(domain.core.exports.run(domain.vcpu.ptr, 10)).toBe(EXIT_KILL);
    expect(domain.vcpu.exitArg(0)).toBe(KILL_XEN_BAD_HANDLER);
  });
});

/** Stands before an iret to these, EAX 0x77 in the frame. */
function iretTo(eip: number, cs: number, flags: number, esp = 0, ss = 0): void {
  domain.enter(1);
  domain.write32(KERNEL_STACK - 24, 0x77, eip, cs, flags, esp, ss);
  domain.vcpu.setGpr(REG_ESP, KERNEL_STACK - 24);
  domain.assemble(CODE, movImm(REG_EAX, HYPERVISOR_IRET), intN(0x82));
}

describe("iret", () => {
  it("goes to ring 3 with its stack, EAX of the frame and the mask of its IF", () => {
    domain.setTraps([0x80, 3]);
    setCallbacks();
    domain.assemble(USER_CODE, intN(0x80));
    iretTo(USER_CODE, FLAT_RING3_CS, EFLAGS_IF, USER_STACK - 8, FLAT_RING3_SS);
    expect(domain.stop()).toBe(STOP_HANDLER + 0x80);
    expect(domain.frame(5)).toEqual([
      USER_CODE + 2,
      FLAT_RING3_CS,
      2 | EFLAGS_IF,
      USER_STACK - 8,
      FLAT_RING3_SS,
    ]);
  });

  it("goes on in ring 1 above its frame", () => {
    domain.assemble(CODE + 0x100, [0x89, 0xc3], movImm(REG_EAX, STOP), intN(0x82));
    iretTo(CODE + 0x100, FLAT_RING1_CS, 0);
    expect(domain.stop()).toBe(STOP);
    expect(domain.vcpu.gpr(REG_EBX)).toBe(0x77);
    expect(domain.vcpu.gpr(REG_ESP)).toBe(KERNEL_STACK - 8);
    expect(domain.upcallMasked).toBe(true);
  });

  it("lets an event in that waited for it, once", () => {
    setCallbacks();
    domain.setUpcall({ pending: true });
    domain.assemble(CODE + 0x100, nop);
    iretTo(CODE + 0x100, FLAT_RING1_CS, EFLAGS_IF);
    expect(domain.stop()).toBe(STOP_EVENT);
    expect(domain.frame(3)).toEqual([CODE + 0x100, FLAT_RING1_CS, 2 | EFLAGS_IF]);
    expect(domain.upcallMasked).toBe(true);
    expect(domain.core.exports.xenHasUpcall(domain.vcpu.ptr)).toBe(0);
  });

  it("tells the failsafe callback of a selector that cannot be loaded", () => {
    setCallbacks();
    iretTo(0x1234, 0x1b9, EFLAGS_IF);
    expect(domain.stop()).toBe(STOP_FAILSAFE);
    const [ds, es, fs, gs, eip, cs, flags] = domain.frame(7);
    expect([ds, es, fs, gs]).toEqual([FLAT_RING1_SS, FLAT_RING1_SS, 0, 0]);
    expect([eip, cs, flags]).toEqual([0x1234, 0x1b9, 2 | EFLAGS_IF]);
    expect(domain.vcpu.segment(SEG_DS).selector).toBe(0);
  });

  it("single-steps the instruction it returns to", () => {
    domain.setTraps([1, 0]);
    domain.assemble(CODE + 0x100, nop, nop);
    iretTo(CODE + 0x100, FLAT_RING1_CS, EFLAGS_TF);
    expect(domain.stop()).toBe(STOP_HANDLER + 1);
    expect(domain.frame(1)).toEqual([CODE + 0x101]);
  });
});

describe("an event", () => {
  it("waits while it is masked, and comes at the next entry when it is not", () => {
    setCallbacks();
    domain.setUpcall({ pending: true });
    expect(domain.execute(1, nop)).toBe(STOP);
    domain.enter(1);
    domain.vcpu.setU32(VCPU_EIP, CODE);
    domain.setUpcall({ masked: false });
    expect(domain.stop()).toBe(STOP_EVENT);
    expect(domain.frame(3)).toEqual([CODE, FLAT_RING1_CS, 2 | EFLAGS_IF]);
  });

  it("that a store opens comes after the next call, wherever a slice ends", () => {
    setCallbacks();
    domain.setUpcall({ pending: true, masked: true });
    domain.enter(1);
    domain.assemble(CODE, nop, nop, nop, movImm(REG_EAX, STOP), intN(0x82));
    domain.core.exports.run(domain.vcpu.ptr, 1);
    domain.poke((SHARED_INFO_MFN << 12) + VI_UPCALL_MASK, 0);
    domain.core.exports.run(domain.vcpu.ptr, 1);
    expect(domain.vcpu.eip).toBe(CODE + 2);
    expect(domain.stop()).toBe(STOP);
    expect(domain.stop()).toBe(STOP_EVENT);
  });
});

describe("virtual CR0.TS", () => {
  it("makes the first use of the FPU a fault and is clear afterwards", () => {
    domain.setTraps([VECTOR_NM, 0]);
    domain.call(HYPERVISOR_FPU_TASKSWITCH, 1);
    expect(domain.execute(1, [0xd9, 0xe8])).toBe(STOP_HANDLER + VECTOR_NM);
    expect(domain.execute(1, [0xd9, 0xe8])).toBe(STOP);
  });
});

describe("an NMI", () => {
  it("enters its callback, and another waits until an iret was made", () => {
    setCallbacks();
    domain.write32(DATA, HANDLERS + VECTOR_NMI * 16);
    expect(domain.call(HYPERVISOR_NMI_OP, XENNMI_REGISTER_CALLBACK, DATA)).toBe(0);
    domain.vcpu.setU32(VCPU_NMI, NMI_PENDING);
    expect(domain.execute(3, nop)).toBe(STOP_HANDLER + VECTOR_NMI);
    expect(domain.frame(2)).toEqual([USER_CODE, FLAT_RING3_CS | 0x10000]);
    expect(domain.vcpu.u32(VCPU_NMI)).toBe(NMI_BLOCKED);
    domain.vcpu.setU32(VCPU_NMI, NMI_BLOCKED | NMI_PENDING);
    domain.assemble(CODE + 0x100, nop);
    iretTo(CODE + 0x100, FLAT_RING1_CS, 0);
    expect(domain.stop()).toBe(STOP_HANDLER + VECTOR_NMI);
    expect(domain.frame(1)).toEqual([CODE + 0x100]);
  });

  it("is lost without one", () => {
    domain.vcpu.setU32(VCPU_NMI, NMI_PENDING);
    expect(domain.execute(1, nop)).toBe(STOP);
    expect(domain.vcpu.u32(VCPU_NMI)).toBe(0);
  });
});

describe("a trap that the policy sends to the Host", () => {
  it("leaves with vector, error code and address, and can be put into the guest then", () => {
    domain.setTraps([VECTOR_PF, 0]);
    domain.vcpu.setU32(VCPU_LEAVING_TRAPS, 1 << VECTOR_PF);
    domain.enter(1);
    domain.assemble(CODE, load(SEG_DS, HOLE));
    const { exports } = domain.core;
    expect(exports.run(domain.vcpu.ptr, 10)).toBe(EXIT_TRAP);
    expect([0, 1, 2].map((i) => domain.vcpu.exitArg(i))).toEqual([VECTOR_PF, 0, HOLE]);
    expect(exports.deliverTrap(domain.vcpu.ptr, VECTOR_PF, 0, HOLE)).toBe(1);
    expect(domain.stop()).toBe(STOP_HANDLER + VECTOR_PF);
    expect(domain.frame(2)).toEqual([0, CODE]);
  });
});

describe("the machine-to-physical table", () => {
  it("is read by the kernel at its place, and by nobody else", () => {
    domain.setTraps([VECTOR_PF, 0]);
    setCallbacks();
    domain.writeFrame(M2P_MFN, mfnOf(5) * 4, 0x5a5a);
    const at = (HYPERVISOR_VIRT_START >>> 0) + mfnOf(5) * 4;
    expect(domain.execute(1, load(SEG_DS, at), [0x89, 0xc5])).toBe(STOP);
    expect(domain.vcpu.gpr(REG_EBP)).toBe(0x5a5a);
    expect(domain.execute(1, store(SEG_DS, at))).toBe(STOP_HANDLER + VECTOR_PF);
    expect(domain.execute(3, load(SEG_DS, at))).toBe(STOP_HANDLER + VECTOR_PF);
    expect(domain.frame(1)).toEqual([PFERR_USER | 1]);
  });
});
