/** Pages that the guest grants to the Host, as devices use them. */

import { GNTST_OKAY } from "../../abi/xen.ts";
import {
  type GrantAccess,
  type GrantedPage,
  MemoryPage,
  type PageMemory,
} from "../devices/xen-ports.ts";

/** The domain's grant table, which says who may use what and marks what is in use. */
export interface GrantUses {
  /** Begins a use. `status` is GNTST_*; `gpa` is the machine address of the page. */
  use(ref: number, isWrite: boolean): { readonly status: number; readonly gpa: number };
  /** Ends it. */
  release(ref: number, isWrite: boolean): void;
}

/** GrantAccess over a grant table. */
export class GrantedPages implements GrantAccess {
  readonly #memory: PageMemory;
  readonly #uses: GrantUses;

  constructor(memory: PageMemory, uses: GrantUses) {
    this.#memory = memory;
    this.#uses = uses;
  }

  map(ref: number, isWritable: boolean): GrantedPage | undefined {
    const { status, gpa } = this.#uses.use(ref, isWritable);
    return status === GNTST_OKAY ? this.adopt(ref, isWritable, gpa) : undefined;
  }

  adopt(ref: number, isWritable: boolean, gpa: number): GrantedPage {
    const release = () => this.#uses.release(ref, isWritable);
    return new GrantedMemoryPage(this.#memory, gpa, isWritable, release);
  }
}

class GrantedMemoryPage extends MemoryPage implements GrantedPage {
  readonly #isWritable: boolean;
  readonly release: () => void;

  constructor(memory: PageMemory, gpa: number, isWritable: boolean, release: () => void) {
    super(memory, gpa);
    this.#isWritable = isWritable;
    this.release = release;
  }

  override write(offset: number, bytes: Uint8Array): void {
    if (this.#isWritable) super.write(offset, bytes);
  }

  override writeU32(offset: number, value: number): void {
    if (this.#isWritable) super.writeU32(offset, value);
  }
}
