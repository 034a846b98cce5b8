; How the items of a work-group find out whether they wait with one label, and, if they can't meet, where
; others wait.
;
; Only wavefronts come to the hardware's barrier, which no longer waits for those that have ended and
; doesn't see where they wait. So each counts the barriers that it has passed, and leaves that number
; when it ends; who has passed a barrier then looks whether anyone has ended before it.

declare void @llvm.amdgcn.s.barrier()

; The fewest barriers that a wavefront had passed which has ended.
@legionella.fewest = internal addrspace(3) global i32 poison, align 4
; Barriers that each wavefront has passed.
@legionella.passed = internal addrspace(3) global [32 x i32] poison, align 4
; The label of the group's first item, and the place where it waits, at barriers of even and odd number.
@legionella.labels = internal addrspace(3) global [2 x { i32, i32 }] poison, align 4
; A place where items wait with another label than the first item's, or 0.
@legionella.apart = internal addrspace(3) global i32 poison, align 4

define void @legionella.rendezvous() #0 {
  fence syncscope("workgroup") release
  call void @llvm.amdgcn.s.barrier()
  fence syncscope("workgroup") acquire
  ret void
}

; Before anything else: `first` says whether this is the group's first item.
define void @legionella.gather(i32 %wave, i1 %first) #0 {
entry:
  %passed = getelementptr [32 x i32], ptr addrspace(3) @legionella.passed, i32 0, i32 %wave
  store atomic i32 0, ptr addrspace(3) %passed syncscope("workgroup") monotonic, align 4
  br i1 %first, label %begin, label %wait
begin:
  store atomic i32 -1, ptr addrspace(3) @legionella.fewest syncscope("workgroup") monotonic, align 4
  store atomic i32 0, ptr addrspace(3) @legionella.apart syncscope("workgroup") monotonic, align 4
  br label %wait
wait:
  call void @legionella.rendezvous()
  ret void
}

; A wavefront's items end.
define void @legionella.gone(i32 %wave) #0 {
  %passed = getelementptr [32 x i32], ptr addrspace(3) @legionella.passed, i32 0, i32 %wave
  %number = load atomic i32, ptr addrspace(3) %passed syncscope("workgroup") monotonic, align 4
  %before = atomicrmw umin ptr addrspace(3) @legionella.fewest, i32 %number syncscope("workgroup") release
  fence syncscope("workgroup") release
  ret void
}

; An item ends in a panic, and its wavefront with it.
define void @legionella.panicked() #0 {
  store atomic i32 0, ptr addrspace(3) @legionella.fewest syncscope("workgroup") monotonic, align 4
  fence syncscope("workgroup") release
  ret void
}

; Waits at the barrier of that number, from 1; whether a wavefront has ended that would have to come.
define i1 @legionella.wait(i32 %wave, i32 %number) #0 {
  call void @legionella.rendezvous()
  %passed = getelementptr [32 x i32], ptr addrspace(3) @legionella.passed, i32 0, i32 %wave
  store atomic i32 %number, ptr addrspace(3) %passed syncscope("workgroup") monotonic, align 4
  %fewest = load atomic i32, ptr addrspace(3) @legionella.fewest syncscope("workgroup") monotonic, align 4
  %ended = icmp ult i32 %fewest, %number
  ret i1 %ended
}

; The word that says whether a work-item of the launch has panicked.
declare ptr @legionella.state()

; Waits at a barrier without any memory of the group; whether an item of the launch has panicked. Who panics says so
; before its wavefront ends, and so before others pass a barrier that it doesn't come to.
define i1 @legionella.wait_for_live() #0 {
  call void @legionella.rendezvous()
  %any = call ptr @legionella.state()
  %state = addrspacecast ptr %any to ptr addrspace(1)
  %claimed = load atomic i32, ptr addrspace(1) %state syncscope("agent") monotonic, align 4
  %panicked = icmp ne i32 %claimed, 0
  ret i1 %panicked
}

; Waits at a barrier where others may wait with another label, at another place: -1 if all have met, and else such
; a place, or 0 if wavefronts have ended.
define i32 @legionella.wait_with(i32 %wave, i32 %number, i32 %label, i32 %place, i1 %first) #0 {
entry:
  %parity = and i32 %number, 1
  %labelp = getelementptr [2 x { i32, i32 }], ptr addrspace(3) @legionella.labels, i32 0, i32 %parity, i32 0
  %placep = getelementptr [2 x { i32, i32 }], ptr addrspace(3) @legionella.labels, i32 0, i32 %parity, i32 1
  br i1 %first, label %tell, label %wait
tell:
  store atomic i32 %label, ptr addrspace(3) %labelp syncscope("workgroup") monotonic, align 4
  store atomic i32 %place, ptr addrspace(3) %placep syncscope("workgroup") monotonic, align 4
  br label %wait
wait:
  call void @legionella.rendezvous()
  %fewest = load atomic i32, ptr addrspace(3) @legionella.fewest syncscope("workgroup") monotonic, align 4
  %ended = icmp ult i32 %fewest, %number
  br i1 %ended, label %alone, label %compare
alone:
  ret i32 0
compare:
  %theirs = load atomic i32, ptr addrspace(3) %labelp syncscope("workgroup") monotonic, align 4
  %where = load atomic i32, ptr addrspace(3) %placep syncscope("workgroup") monotonic, align 4
  %differs = icmp ne i32 %theirs, %label
  br i1 %differs, label %object, label %agree
object:
  store atomic i32 %place, ptr addrspace(3) @legionella.apart syncscope("workgroup") monotonic, align 4
  br label %agree
agree:
  call void @legionella.rendezvous()
  %passed = getelementptr [32 x i32], ptr addrspace(3) @legionella.passed, i32 0, i32 %wave
  store atomic i32 %number, ptr addrspace(3) %passed syncscope("workgroup") monotonic, align 4
  %apart = load atomic i32, ptr addrspace(3) @legionella.apart syncscope("workgroup") monotonic, align 4
  %together = icmp eq i32 %apart, 0
  %other = select i1 %differs, i32 %where, i32 %apart
  %result = select i1 %together, i32 -1, i32 %other
  ret i32 %result
}

attributes #0 = { alwaysinline convergent nounwind }
