<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="ja" sourcelanguage="en">
    <context>
        <name>ChordCard</name>
        <message>
            <source>Key combinations of this laptop</source>
            <translation>このノートパソコンのキー操作</translation>
        </message>
        <message>
            <source>They work wherever you are, and neither computer ever gets them. Esc ends a change.</source>
            <translation>どこにいても有効で、どちらのコンピューターにも渡りません。変更はEscで終わります。</translation>
        </message>
        <message>
            <source>Change</source>
            <translation>変更</translation>
        </message>
        <message>
            <source>Change the combination for: {action}</source>
            <translation>組み合わせの変更: {action}</translation>
        </message>
        <message>
            <source>Press the keys…</source>
            <translation>キーを押してください…</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>キャンセル</translation>
        </message>
    </context>
    <context>
        <name>ChordList</name>
        <message>
            <source>Key combinations of this laptop</source>
            <translation>このノートパソコンのキー操作</translation>
        </message>
        <message>
            <source>Always this laptop's own</source>
            <translation>常にこのノートパソコン自身の操作</translation>
        </message>
    </context>
    <context>
        <name>CodeView</name>
        <message>
            <source>Code {code}; {n} of {all} digits typed</source>
            <translation>コード {code}、{all}桁中{n}桁を入力済み</translation>
        </message>
    </context>
    <context>
        <name>DevicePanel</name>
        <message>
            <source>Remember this answer</source>
            <translation>この回答を記憶する</translation>
        </message>
        <message>
            <source>Read only</source>
            <translation>読み取り専用</translation>
        </message>
        <message>
            <source> Corporate computer</source>
            <translation> 会社用コンピューター</translation>
        </message>
        <message>
            <source> Personal computer</source>
            <translation> 個人用コンピューター</translation>
        </message>
        <message>
            <source>Nobody</source>
            <translation>渡さない</translation>
        </message>
        <message>
            <source>Later</source>
            <translation>あとで</translation>
        </message>
        <message>
            <source>Answer by keyboard: {chord}</source>
            <translation>キーボードで回答: {chord}</translation>
        </message>
        <message>
            <source>Is this new keyboard yours? Type these digits on it, then Enter.</source>
            <translation>この新しいキーボードはご自分のものですか。そのキーボードで次の数字を入力し、Enterキーを押してください。</translation>
        </message>
        <message>
            <source>Which computer gets this device?</source>
            <translation>このデバイスをどのコンピューターに渡しますか。</translation>
        </message>
        <message>
            <source>{n} more after this</source>
            <translation>このあと{n}台</translation>
        </message>
        <message>
            <source>{n} of {all} digits typed.</source>
            <translation>{all}桁中{n}桁を入力しました。</translation>
        </message>
        <message>
            <source>That was not the code. Type it again. After three wrong codes it is kept out.</source>
            <translation>コードが違います。もう一度入力してください。3回間違えると、このキーボードは遮断されます。</translation>
        </message>
        <message>
            <source>{typed} Now Enter.</source>
            <translation>{typed}Enterキーを押してください。</translation>
        </message>
        <message>
            <source>You plugged in no keyboard? Then pull out what is in {place}: it says that it is one. Nothing it types reaches this laptop before its code was typed.</source>
            <translation>キーボードを接続した覚えがない場合は、{place} に接続されているものを抜いてください。キーボードだと名乗っています。コードが入力されるまで、その入力がこのノートパソコンに届くことはありません。</translation>
        </message>
        <message>
            <source>Give {name} to the corporate computer</source>
            <translation>{name} を会社用コンピューターに渡す</translation>
        </message>
        <message>
            <source>Give {name} to the personal computer</source>
            <translation>{name} を個人用コンピューターに渡す</translation>
        </message>
        <message>
            <source>Give {name} to nobody</source>
            <translation>{name} をどこにも渡さない</translation>
        </message>
        <message>
            <source>Give {name} to be read only</source>
            <translation>{name} を読み取り専用で渡す</translation>
        </message>
        <message>
            <source>Decide about {name} later</source>
            <translation>{name} についてあとで決める</translation>
        </message>
    </context>
    <context>
        <name>DevicePlace</name>
        <message>
            <source>Drop it here</source>
            <translation>ここにドロップ</translation>
        </message>
        <message>
            <source>The rules keep it from here</source>
            <translation>ルールにより不可</translation>
        </message>
    </context>
    <context>
        <name>DeviceRow</name>
        <message>
            <source>Read only</source>
            <translation>読み取り専用</translation>
        </message>
        <message>
            <source>Details</source>
            <translation>詳細</translation>
        </message>
        <message>
            <source>To nobody</source>
            <translation>渡さない</translation>
        </message>
        <message>
            <source>Take back</source>
            <translation>取り戻す</translation>
        </message>
        <message>
            <source>Port</source>
            <translation>ポート</translation>
        </message>
        <message>
            <source>Model</source>
            <translation>モデル</translation>
        </message>
        <message>
            <source>Interfaces</source>
            <translation>インターフェース</translation>
        </message>
        <message>
            <source>Rule</source>
            <translation>ルール</translation>
        </message>
        <message>
            <source>Fingerprint</source>
            <translation>フィンガープリント</translation>
        </message>
        <message>
            <source>Your name for this port, such as left port</source>
            <translation>このポートの名前（例: 左のポート）</translation>
        </message>
        <message>
            <source>Name port</source>
            <translation>ポートに名前を付ける</translation>
        </message>
        <message>
            <source>Forget it and decide anew</source>
            <translation>記憶を消して決め直す</translation>
        </message>
        <message>
            <source>Less</source>
            <translation>閉じる</translation>
        </message>
        <message>
            <source>Give {name} to the corporate computer</source>
            <translation>{name} を会社用コンピューターに渡す</translation>
        </message>
        <message>
            <source>Give {name} to the personal computer</source>
            <translation>{name} を個人用コンピューターに渡す</translation>
        </message>
        <message>
            <source>Give {name} to nobody</source>
            <translation>{name} をどこにも渡さない</translation>
        </message>
        <message>
            <source>Take {name} back</source>
            <translation>{name} を取り戻す</translation>
        </message>
        <message>
            <source>Give {name} to be read only</source>
            <translation>{name} を読み取り専用で渡す</translation>
        </message>
        <message>
            <source>Hide the details of {name}</source>
            <translation>{name} の詳細を隠す</translation>
        </message>
        <message>
            <source>Details of {name}</source>
            <translation>{name} の詳細</translation>
        </message>
        <message>
            <source>Forget {name} and decide anew</source>
            <translation>{name} の記憶を消して決め直す</translation>
        </message>
        <message>
            <source>Name the port of {name}</source>
            <translation>{name} のポートに名前を付ける</translation>
        </message>
        <message>
            <source>Your name for the port of {name}</source>
            <translation>{name} のポートの名前</translation>
        </message>
    </context>
    <context>
        <name>DevicesPage</name>
        <message>
            <source>Devices</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>No device is here. Drag one onto this field, or use its buttons.</source>
            <translation>デバイスはありません。この欄にドラッグするか、デバイスのボタンを使います。</translation>
        </message>
        <message>
            <source>With nobody</source>
            <translation>どこにも渡していないもの</translation>
        </message>
        <message>
            <source>No device waits and none is kept out.</source>
            <translation>待機中や遮断中のデバイスはありません。</translation>
        </message>
        <message>
            <source>This laptop itself</source>
            <translation>このノートパソコン自身</translation>
        </message>
        <message>
            <source>This laptop uses no device of its own.</source>
            <translation>このノートパソコン自身が使っているデバイスはありません。</translation>
        </message>
        <message>
            <source>Devices by place</source>
            <translation>場所別のデバイス</translation>
        </message>
        <message>
            <source>What is plugged in is not known just now.</source>
            <translation>何が接続されているか、現在は分かりません。</translation>
        </message>
        <message>
            <source>Hide what is inside it ({n})</source>
            <translation>内蔵のものを隠す（{n}）</translation>
        </message>
        <message>
            <source>Show what is inside it ({n})</source>
            <translation>内蔵のものを表示（{n}）</translation>
        </message>
        <message>
            <source>Nothing is plugged in.</source>
            <translation>何も接続されていません。</translation>
        </message>
        <message>
            <source>One device is plugged in.</source>
            <translation>デバイスが1台接続されています。</translation>
        </message>
        <message>
            <source>{n} devices are plugged in.</source>
            <translation>デバイスが{n}台接続されています。</translation>
        </message>
        <message>
            <source>One waits for you.</source>
            <translation>1台が回答を待っています。</translation>
        </message>
        <message>
            <source>{n} wait for you.</source>
            <translation>{n}台が回答を待っています。</translation>
        </message>
    </context>
    <context>
        <name>EnrolCard</name>
        <message>
            <source>Connect this laptop to your company</source>
            <translation>このノートパソコンを会社に接続</translation>
        </message>
        <message>
            <source>Address, such as https://fleet.example</source>
            <translation>アドレス（例: https://fleet.example）</translation>
        </message>
        <message>
            <source>One-time token</source>
            <translation>ワンタイムトークン</translation>
        </message>
        <message>
            <source>Connect</source>
            <translation>接続</translation>
        </message>
        <message>
            <source>Use a file…</source>
            <translation>ファイルを使う…</translation>
        </message>
        <message>
            <source>Get a code</source>
            <translation>コードを取得</translation>
        </message>
        <message>
            <source>They are the same</source>
            <translation>同じです</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>キャンセル</translation>
        </message>
        <message>
            <source>Use this address</source>
            <translation>このアドレスを使用</translation>
        </message>
        <message>
            <source>Ignore the link</source>
            <translation>リンクを無視</translation>
        </message>
        <message>
            <source>An administrator opens</source>
            <translation>管理者が開くページ</translation>
        </message>
        <message>
            <source>and types</source>
            <translation>入力するコード</translation>
        </message>
        <message>
            <source>Fingerprint of the server</source>
            <translation>サーバーのフィンガープリント</translation>
        </message>
        <message>
            <source>Fingerprint of this laptop</source>
            <translation>このノートパソコンのフィンガープリント</translation>
        </message>
        <message>
            <source>Not connected</source>
            <translation>未接続</translation>
        </message>
        <message>
            <source>Connecting</source>
            <translation>接続中</translation>
        </message>
        <message>
            <source>To be compared</source>
            <translation>要確認</translation>
        </message>
        <message>
            <source>Waiting to be let in</source>
            <translation>許可待ち</translation>
        </message>
        <message>
            <source>A link was opened</source>
            <translation>リンクが開かれました</translation>
        </message>
        <message>
            <source>A link asks to connect this laptop to the company at this address. Nothing was sent there. Go on only if your company gave you the link: whoever the address belongs to sets the rules of the corporate computer.</source>
            <translation>リンクが、このノートパソコンを次のアドレスの会社に接続しようとしています。そこには何も送信されていません。会社から受け取ったリンクである場合だけ続けてください。アドレスの持ち主が会社用コンピューターのルールを決めます。</translation>
        </message>
        <message>
            <source>Your company gave you an address, and a token or a file. Without a token, get a code.</source>
            <translation>会社から受け取ったアドレスと、トークンまたはファイルを使います。トークンがない場合は、コードを取得してください。</translation>
        </message>
        <message>
            <source>As soon as the administrator agrees, this laptop is connected.</source>
            <translation>管理者が承認すると、このノートパソコンは接続されます。</translation>
        </message>
        <message>
            <source>Does the approval page show the same code and the same two fingerprints?</source>
            <translation>承認ページに、同じコードと同じ2つのフィンガープリントが表示されていますか。</translation>
        </message>
        <message>
            <source>The file your company gave you</source>
            <translation>会社から受け取ったファイル</translation>
        </message>
    </context>
    <context>
        <name>ErasedPage</name>
        <message>
            <source>The corporate computer was erased</source>
            <translation>会社用コンピューターは消去されました</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>ホームに戻る</translation>
        </message>
        <message>
            <source>What is gone</source>
            <translation>失われたもの</translation>
        </message>
        <message>
            <source>What is as it was</source>
            <translation>元のままのもの</translation>
        </message>
        <message>
            <source>I have read it</source>
            <translation>読みました</translation>
        </message>
        <message>
            <source>Show the receipts</source>
            <translation>受領証を表示</translation>
        </message>
        <message>
            <source>This laptop has left the company</source>
            <translation>このノートパソコンは会社を離れました</translation>
        </message>
        <message>
            <source>The corporate computer with everything in it, its keys, its network, and what tied this laptop to the company. Nothing brings it back, and the company controls and sees nothing here any more.</source>
            <translation>会社用コンピューターとその中身すべて、その鍵、ネットワーク、そしてこのノートパソコンを会社に結び付けていたもの。元に戻すことはできず、会社はここでもう何も管理せず、何も見ません。</translation>
        </message>
        <message>
            <source>The corporate computer with everything in it, and its keys. Nothing brings it back. Your company can offer it anew; it begins empty then.</source>
            <translation>会社用コンピューターとその中身すべて、そしてその鍵。元に戻すことはできません。会社が改めて提供することはできますが、その場合は空の状態から始まります。</translation>
        </message>
        <message>
            <source>Your personal computer. It is now: {state}.</source>
            <translation>あなたの個人用コンピューター。現在の状態: {state}。</translation>
        </message>
        <message>
            <source>Looking for the receipt.</source>
            <translation>受領証を探しています。</translation>
        </message>
        <message>
            <source>There is no receipt of it in the log.</source>
            <translation>ログにその受領証はありません。</translation>
        </message>
        <message>
            <source>The receipt says so, too: its keys and files were the same before and after.</source>
            <translation>受領証にもそうあります。鍵とファイルは前後で同じでした。</translation>
        </message>
        <message>
            <source>The receipt does not speak of it.</source>
            <translation>受領証はそれに触れていません。</translation>
        </message>
        <message>
            <source>The receipt says that its keys and files were NOT the same before and after.</source>
            <translation>受領証によれば、鍵とファイルは前後で同じではありませんでした。</translation>
        </message>
    </context>
    <context>
        <name>ExchangePanel</name>
        <message>
            <source>Copy from one computer to the other</source>
            <translation>一方のコンピューターからもう一方へコピー</translation>
        </message>
        <message>
            <source>What would be copied</source>
            <translation>コピーされる内容</translation>
        </message>
        <message>
            <source>Send it</source>
            <translation>送る</translation>
        </message>
        <message>
            <source>Do not send</source>
            <translation>送らない</translation>
        </message>
        <message>
            <source>From the corporate to the personal computer</source>
            <translation>会社用コンピューターから個人用コンピューターへ</translation>
        </message>
        <message>
            <source>From the personal to the corporate computer</source>
            <translation>個人用コンピューターから会社用コンピューターへ</translation>
        </message>
        <message>
            <source>Close</source>
            <translation>閉じる</translation>
        </message>
        <message>
            <source>Copy a text, an address or a picture in one of them first, or choose Send To in a file's menu there. You see it before it is sent.</source>
            <translation>まずどちらかのコンピューターでテキスト、アドレス、画像のいずれかをコピーするか、そこでファイルのメニューから「Send To」を選んでください。送信する前に内容が表示されます。</translation>
        </message>
        <message>
            <source>Asking that computer what was copied there.</source>
            <translation>コピーされた内容をそのコンピューターに問い合わせています。</translation>
        </message>
        <message>
            <source>A text, {bytes} bytes, {lines} lines.</source>
            <translation>テキスト、{bytes}バイト、{lines}行。</translation>
        </message>
        <message>
            <source>{n} characters in it cannot be seen or turn others around; here they are as numbers.</source>
            <translation>見えない文字や並び順を変える文字が {n} 個含まれています。ここでは番号で示します。</translation>
        </message>
        <message>
            <source>A web address, {bytes} bytes. It leads to:</source>
            <translation>ウェブアドレス、{bytes}バイト。行き先:</translation>
        </message>
        <message>
            <source>Nothing is opened by this. It is put where the other computer pastes from, for a minute: paste it into a browser there.</source>
            <translation>これでは何も開きません。もう一方のコンピューターのクリップボードに1分間だけ入ります。そちらのブラウザーに貼り付けてください。</translation>
        </message>
        <message>
            <source>What stands before the @ is a name to sign in with, not where it leads.</source>
            <translation>@の前はサインイン用の名前で、行き先ではありません。</translation>
        </message>
        <message>
            <source>Browsers may show it as “{name}”, with these letters: {letters}.</source>
            <translation>ブラウザーでは「{name}」と表示されることがあります。含まれる文字: {letters}。</translation>
        </message>
        <message>
            <source>It mixes scripts in one word, as addresses do that imitate others.</source>
            <translation>1つの語に複数の文字体系が混ざっています。ほかのアドレスを装うときの手口です。</translation>
        </message>
        <message>
            <source>It leads to port {n} there.</source>
            <translation>行き先のポート番号は{n}です。</translation>
        </message>
        <message>
            <source>It is not encrypted: others on the way can read and change it.</source>
            <translation>暗号化されません。途中の第三者が読んだり変えたりできます。</translation>
        </message>
        <message>
            <source>A picture, {width} by {height} pixels, {size}.</source>
            <translation>画像、{width} × {height} ピクセル、{size}。</translation>
        </message>
        <message>
            <source>A file, {size}. By its content it is: {type}. It is called:</source>
            <translation>ファイル、{size}。内容から見た種類：{type}。名前：</translation>
        </message>
        <message>
            <source>It is put into Downloads there, and nothing opens it.</source>
            <translation>相手側の「Downloads」に置かれ、開かれることはありません。</translation>
        </message>
        <message>
            <source>It is put into Downloads there, and nothing opens it. Only its beginning is shown here.</source>
            <translation>相手側の「Downloads」に置かれ、開かれることはありません。ここに表示されているのは先頭だけです。</translation>
        </message>
        <message>
            <source>It is put into Downloads there, and nothing opens it. What is in it cannot be shown here.</source>
            <translation>相手側の「Downloads」に置かれ、開かれることはありません。中身はここでは表示できません。</translation>
        </message>
        <message>
            <source>There it is called “{name}”; it crosses under the name above.</source>
            <translation>元の名前は「{name}」です。上の名前で送信されます。</translation>
        </message>
        <message>
            <source>It is a program.</source>
            <translation>これはプログラムです。</translation>
        </message>
        <message>
            <source>Its name ends as if it were something else than it is.</source>
            <translation>名前の末尾が実際の種類と一致していません。</translation>
        </message>
        <message>
            <source>Taking the file from that computer: {done} of {size}.</source>
            <translation>ファイルを取り出しています：{size}中{done}。</translation>
        </message>
        <message>
            <source>Putting the file into the other computer: {done} of {size}.</source>
            <translation>もう一方のコンピューターに置いています：{size}中{done}。</translation>
        </message>
        <message>
            <source>Stop</source>
            <translation>中止</translation>
        </message>
        <message>
            <source>The other computer says that the file is in its Downloads.</source>
            <translation>もう一方のコンピューターから、ファイルが「Downloads」に入ったと報告がありました。</translation>
        </message>
    </context>
    <context>
        <name>GradeCard</name>
        <message>
            <source>Protection of this laptop</source>
            <translation>このノートパソコンの保護</translation>
        </message>
        <message>
            <source>In place</source>
            <translation>対応済み</translation>
        </message>
        <message>
            <source>Grade {letter}</source>
            <translation>グレード {letter}</translation>
        </message>
        <message>
            <source>{passed} of {all} checks pass. A is best, E is least.</source>
            <translation>{all}項目中{passed}項目に合格しています。Aが最高、Eが最低です。</translation>
        </message>
        <message>
            <source>Improve</source>
            <translation>要改善</translation>
        </message>
    </context>
    <context>
        <name>GuestScreen</name>
        <message>
            <source>Screen: {name}</source>
            <translation>画面: {name}</translation>
        </message>
    </context>
    <context>
        <name>HomePage</name>
        <message>
            <source>Home</source>
            <translation>ホーム</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>設定</translation>
        </message>
        <message>
            <source>Your two computers</source>
            <translation>2台のコンピューター</translation>
        </message>
        <message>
            <source>Both computers and what concerns them</source>
            <translation>2台のコンピューターと関連する情報</translation>
        </message>
        <message>
            <source>Devices: {n} waiting</source>
            <translation>デバイス: {n}台が待機中</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>Looked after by {tenant} as {device} · {contact}</source>
            <translation>{tenant} が {device} として管理 · {contact}</translation>
        </message>
        <message>
            <source>in contact now</source>
            <translation>通信中</translation>
        </message>
        <message>
            <source>not in contact now</source>
            <translation>現在は通信していません</translation>
        </message>
        <message>
            <source>This laptop belongs to no company yet.</source>
            <translation>このノートパソコンはまだどの会社にも属していません。</translation>
        </message>
    </context>
    <context>
        <name>LockCover</name>
        <message>
            <source>Locked</source>
            <translation>ロック中</translation>
        </message>
        <message>
            <source>Go on</source>
            <translation>続ける</translation>
        </message>
    </context>
    <context>
        <name>LogPage</name>
        <message>
            <source>Log</source>
            <translation>ログ</translation>
        </message>
        <message>
            <source>When</source>
            <translation>日時</translation>
        </message>
        <message>
            <source>What</source>
            <translation>種類</translation>
        </message>
        <message>
            <source>Details</source>
            <translation>詳細</translation>
        </message>
        <message>
            <source>Only what was reported to the company</source>
            <translation>会社に報告されたものだけ</translation>
        </message>
        <message>
            <source>The exact bytes</source>
            <translation>原文</translation>
        </message>
        <message>
            <source>Choose a line to read exactly what was received or reported.</source>
            <translation>行を選ぶと、受信または報告された内容をそのまま読むことができます。</translation>
        </message>
        <message>
            <source>Receipts</source>
            <translation>受領証</translation>
        </message>
        <message>
            <source>Received</source>
            <translation>受信</translation>
        </message>
        <message>
            <source>Reported</source>
            <translation>報告</translation>
        </message>
        <message>
            <source>Decided</source>
            <translation>判断</translation>
        </message>
        <message>
            <source>Done</source>
            <translation>実行</translation>
        </message>
        <message>
            <source>Refused</source>
            <translation>拒否</translation>
        </message>
        <message>
            <source>Nothing was sent or received with this line.</source>
            <translation>この行に伴う送受信はありません。</translation>
        </message>
    </context>
    <context>
        <name>LookPicker</name>
        <message>
            <source>Colour of the {name}</source>
            <translation>{name}の色</translation>
        </message>
        <message>
            <source>Pattern of the {name}</source>
            <translation>{name}の模様</translation>
        </message>
        <message>
            <source>Blue</source>
            <translation>青</translation>
        </message>
        <message>
            <source>Orange</source>
            <translation>オレンジ</translation>
        </message>
        <message>
            <source>Green</source>
            <translation>緑</translation>
        </message>
        <message>
            <source>Violet</source>
            <translation>紫</translation>
        </message>
        <message>
            <source>Red</source>
            <translation>赤</translation>
        </message>
        <message>
            <source>Teal</source>
            <translation>青緑</translation>
        </message>
        <message>
            <source>Pink</source>
            <translation>ピンク</translation>
        </message>
        <message>
            <source>Brown</source>
            <translation>茶</translation>
        </message>
        <message>
            <source>Stripes</source>
            <translation>斜線</translation>
        </message>
        <message>
            <source>Dots</source>
            <translation>水玉</translation>
        </message>
        <message>
            <source>Checks</source>
            <translation>市松</translation>
        </message>
        <message>
            <source>Bars</source>
            <translation>縦線</translation>
        </message>
    </context>
    <context>
        <name>MainWindow</name>
        <message>
            <source>Locking this laptop.</source>
            <translation>このノートパソコンをロックしています。</translation>
        </message>
        <message>
            <source>Unlock this laptop as you always do.</source>
            <translation>いつもの方法でこのノートパソコンのロックを解除してください。</translation>
        </message>
        <message>
            <source>Both computers are covered. This session has no screen lock that asks for a password.</source>
            <translation>2台のコンピューターの画面を隠しています。このセッションには、パスワードを求める画面ロックがありません。</translation>
        </message>
        <message>
            <source>Home: {home} · Switch: {switch}</source>
            <translation>ホーム: {home} · 切り替え: {switch}</translation>
        </message>
        <message>
            <source>Keys: hold {keys}</source>
            <translation>キー一覧: {keys}を長押し</translation>
        </message>
        <message>
            <source>Sent: paste it in the {name} within a minute</source>
            <translation>送りました。1 分以内に貼り付けてください（{name}）</translation>
        </message>
        <message>
            <source>has the keyboard</source>
            <translation>キーボード入力先</translation>
        </message>
        <message>
            <source>Devices ({n})</source>
            <translation>デバイス {n}</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>Devices, {n} waiting for you</source>
            <translation>デバイス、{n}台が回答を待っています</translation>
        </message>
    </context>
    <context>
        <name>NewsCard</name>
        <message>
            <source>To be read</source>
            <translation>お読みください</translation>
        </message>
        <message>
            <source>This laptop has left the company.</source>
            <translation>このノートパソコンは会社を離れました。</translation>
        </message>
        <message>
            <source>What became of it</source>
            <translation>どうなったか</translation>
        </message>
        <message>
            <source>The corporate computer was erased.</source>
            <translation>会社用コンピューターは消去されました。</translation>
        </message>
        <message>
            <source>What was erased</source>
            <translation>何が消去されたか</translation>
        </message>
        <message>
            <source>Your company changed its rules.</source>
            <translation>会社がルールを変更しました。</translation>
        </message>
        <message>
            <source>What is different</source>
            <translation>何が変わったか</translation>
        </message>
    </context>
    <context>
        <name>Notifier</name>
        <message>
            <source>Show</source>
            <translation>表示</translation>
        </message>
    </context>
    <context>
        <name>PartitionCard</name>
        <message>
            <source>Download of this computer's system</source>
            <translation>このコンピューターのシステムのダウンロード</translation>
        </message>
        <message>
            <source>Unlock and start</source>
            <translation>ロックを解除して起動</translation>
        </message>
        <message>
            <source>Start</source>
            <translation>起動</translation>
        </message>
        <message>
            <source>Open screen</source>
            <translation>画面を開く</translation>
        </message>
        <message>
            <source>Continue</source>
            <translation>再開</translation>
        </message>
        <message>
            <source>Pause</source>
            <translation>一時停止</translation>
        </message>
        <message>
            <source>Shut down</source>
            <translation>シャットダウン</translation>
        </message>
        <message>
            <source>Forgotten?</source>
            <translation>忘れましたか?</translation>
        </message>
        <message>
            <source>The passphrase of this computer is forgotten</source>
            <translation>このコンピューターのパスフレーズを忘れた</translation>
        </message>
        <message>
            <source>Its system is being downloaded: {done} of {all}.</source>
            <translation>システムをダウンロードしています（{done} / {all}）。</translation>
        </message>
        <message>
            <source>Nothing is offered for it yet. Connect this laptop to your company first.</source>
            <translation>まだ何も提供されていません。先にこのノートパソコンを会社に接続してください。</translation>
        </message>
        <message>
            <source>{memory} memory · {cpus} · {disk} GB disk</source>
            <translation>メモリー {memory} · {cpus} · ディスク {disk} GB</translation>
        </message>
        <message>
            <source>started {ago}</source>
            <translation>起動 {ago}</translation>
        </message>
        <message>
            <source>Set up</source>
            <translation>セットアップ</translation>
        </message>
        <message>
            <source>The two passphrases are not the same. Type them again.</source>
            <translation>2つのパスフレーズが一致しません。もう一度入力してください。</translation>
        </message>
    </context>
    <context>
        <name>PolicyCard</name>
        <message>
            <source>What your employer controls and sees</source>
            <translation>勤務先が管理できること、見られること</translation>
        </message>
        <message>
            <source>Your personal computer: nothing. It cannot be named in these rules, seen or changed.</source>
            <translation>個人用コンピューターについては何もできません。ルールで指定することも、見ることも、変更することもできません。</translation>
        </message>
        <message>
            <source>The exact rules</source>
            <translation>ルールの原文</translation>
        </message>
        <message>
            <source>Show the exact rules</source>
            <translation>ルールの原文を表示</translation>
        </message>
        <message>
            <source>Show exactly what was reported</source>
            <translation>報告された内容をそのまま表示</translation>
        </message>
        <message>
            <source>Hide the exact rules</source>
            <translation>ルールの原文を隠す</translation>
        </message>
        <message>
            <source>{name}, number {n}</source>
            <translation>{name}、番号 {n}</translation>
        </message>
        <message>
            <source>No rules yet</source>
            <translation>ルールなし</translation>
        </message>
        <message>
            <source>Newest rules refused: {why}</source>
            <translation>最新のルールを拒否しました: {why}</translation>
        </message>
        <message>
            <source>Now</source>
            <translation>現在</translation>
        </message>
        <message>
            <source>This laptop has no company rules.</source>
            <translation>このノートパソコンには会社のルールがありません。</translation>
        </message>
        <message>
            <source>Unclear</source>
            <translation>不明</translation>
        </message>
    </context>
    <context>
        <name>PolicyPage</name>
        <message>
            <source>Your company changed its rules</source>
            <translation>会社がルールを変更しました</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>ホームに戻る</translation>
        </message>
        <message>
            <source>What is different for you</source>
            <translation>あなたにとって変わること</translation>
        </message>
        <message>
            <source>Every change, as the service says it</source>
            <translation>サービスが伝えるすべての変更</translation>
        </message>
        <message>
            <source>What the rules mean for you is the same as before.</source>
            <translation>ルールがあなたにとって意味することは以前と同じです。</translation>
        </message>
        <message>
            <source>Your personal computer: nothing. It cannot be named in these rules, seen or changed.</source>
            <translation>個人用コンピューター: 何も変わりません。このルールで指定することも、見ることも、変えることもできません。</translation>
        </message>
        <message>
            <source>I have read it</source>
            <translation>読みました</translation>
        </message>
        <message>
            <source>Now: {sentence}</source>
            <translation>現在: {sentence}</translation>
        </message>
        <message>
            <source>Before: {sentence}</source>
            <translation>以前: {sentence}</translation>
        </message>
    </context>
    <context>
        <name>Rail</name>
        <message>
            <source>Views</source>
            <translation>表示</translation>
        </message>
        <message>
            <source>Copy from one computer to the other…</source>
            <translation>一方のコンピューターからもう一方へコピー…</translation>
        </message>
        <message>
            <source>The other one small in the corner</source>
            <translation>もう一方を隅に小さく表示</translation>
        </message>
        <message>
            <source>Full screen</source>
            <translation>全画面</translation>
        </message>
        <message>
            <source>Lock</source>
            <translation>ロック</translation>
        </message>
    </context>
    <context>
        <name>ReceiptsPage</name>
        <message>
            <source>Receipts</source>
            <translation>受領証</translation>
        </message>
        <message>
            <source>Back</source>
            <translation>戻る</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>もう一度試す</translation>
        </message>
        <message>
            <source>There are none yet. Whatever is erased or asked of this laptop leaves one.</source>
            <translation>まだありません。消去や、このノートパソコンへの要求があると残ります。</translation>
        </message>
        <message>
            <source>The exact bytes</source>
            <translation>正確なバイト列</translation>
        </message>
        <message>
            <source>Save the exact bytes…</source>
            <translation>正確なバイト列を保存…</translation>
        </message>
        <message>
            <source>You erased the {name}</source>
            <translation>あなたが消去: {name}</translation>
        </message>
        <message>
            <source>Your employer locked the corporate computer</source>
            <translation>勤務先による会社用コンピューターのロック</translation>
        </message>
        <message>
            <source>Your employer unlocked the corporate computer</source>
            <translation>勤務先による会社用コンピューターのロック解除</translation>
        </message>
        <message>
            <source>Your employer erased the corporate computer</source>
            <translation>勤務先による会社用コンピューターの消去</translation>
        </message>
        <message>
            <source>Your employer let this laptop go</source>
            <translation>勤務先によるこのノートパソコンの解放</translation>
        </message>
        <message>
            <source>The key of the company connection was changed</source>
            <translation>会社との接続の鍵の変更</translation>
        </message>
        <message>
            <source>received</source>
            <translation>受け取り済み</translation>
        </message>
        <message>
            <source>begun</source>
            <translation>開始済み</translation>
        </message>
        <message>
            <source>done</source>
            <translation>完了</translation>
        </message>
        <message>
            <source>failed</source>
            <translation>失敗</translation>
        </message>
        <message>
            <source>Signed by this laptop</source>
            <translation>このノートパソコンの署名あり</translation>
        </message>
        <message>
            <source>Not signed</source>
            <translation>署名なし</translation>
        </message>
        <message>
            <source>keys</source>
            <translation>鍵</translation>
        </message>
        <message>
            <source>headers of the disk</source>
            <translation>ディスクのヘッダー</translation>
        </message>
        <message>
            <source>their backups</source>
            <translation>そのバックアップ</translation>
        </message>
        <message>
            <source>earlier states</source>
            <translation>以前の状態</translation>
        </message>
        <message>
            <source>contents</source>
            <translation>中身</translation>
        </message>
        <message>
            <source>settings of its firmware</source>
            <translation>ファームウェアの設定</translation>
        </message>
        <message>
            <source>what tied it to the company</source>
            <translation>会社との結び付き</translation>
        </message>
        <message>
            <source>Gone for good: {what}.</source>
            <translation>完全に消えたもの: {what}。</translation>
        </message>
        <message>
            <source>Could still be read: {what}.</source>
            <translation>まだ読めたもの: {what}。</translation>
        </message>
        <message>
            <source>{name}: untouched, the same before and after.</source>
            <translation>{name}: 手付かずで、前後で同じです。</translation>
        </message>
        <message>
            <source>{name}: NOT the same before and after.</source>
            <translation>{name}: 前後で同じではありません。</translation>
        </message>
        <message>
            <source>Nothing was removed.</source>
            <translation>何も削除されませんでした。</translation>
        </message>
        <message>
            <source>Where the receipt is kept</source>
            <translation>受領証の保存先</translation>
        </message>
        <message>
            <source>Saved: {path}</source>
            <translation>保存しました: {path}</translation>
        </message>
    </context>
    <context>
        <name>RecoveryPage</name>
        <message>
            <source>Recovery code</source>
            <translation>回復コード</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>ホームに戻る</translation>
        </message>
        <message>
            <source>Make a recovery code</source>
            <translation>回復コードを作る</translation>
        </message>
        <message>
            <source>Passphrase of this computer</source>
            <translation>このコンピューターのパスフレーズ</translation>
        </message>
        <message>
            <source>Make the code</source>
            <translation>コードを作る</translation>
        </message>
        <message>
            <source>The passphrase is forgotten…</source>
            <translation>パスフレーズを忘れた…</translation>
        </message>
        <message>
            <source>{n} words for paper. They open this computer's disk when its passphrase is forgotten. They are shown once and kept nowhere; without them and the passphrase nobody can open it.</source>
            <translation>紙に書き留めるための{n}個の単語です。パスフレーズを忘れたとき、このコンピューターのディスクを開けます。一度だけ表示され、どこにも保存されません。これもパスフレーズもなければ、誰にも開けません。</translation>
        </message>
        <message>
            <source>Open it with the recovery code</source>
            <translation>回復コードで開く</translation>
        </message>
        <message>
            <source>The {n} words of the recovery code</source>
            <translation>回復コードの{n}個の単語</translation>
        </message>
        <message>
            <source>New passphrase</source>
            <translation>新しいパスフレーズ</translation>
        </message>
        <message>
            <source>The new passphrase again</source>
            <translation>新しいパスフレーズをもう一度</translation>
        </message>
        <message>
            <source>The two passphrases are not the same. Type them again.</source>
            <translation>二つのパスフレーズが一致しません。もう一度入力してください。</translation>
        </message>
        <message>
            <source>Set the new passphrase</source>
            <translation>新しいパスフレーズを設定</translation>
        </message>
        <message>
            <source>Whatever opened it before is void then, and you get the next code. Four letters of each word are enough. Nothing that is on the disk changes.</source>
            <translation>これまで開けたものはすべて無効になり、次のコードが渡されます。各単語は最初の4文字で足ります。ディスクの中身は変わりません。</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>キャンセル</translation>
        </message>
        <message>
            <source>Please wait</source>
            <translation>お待ちください</translation>
        </message>
        <message>
            <source>It takes some seconds, on purpose: so does every guess.</source>
            <translation>わざと数秒かかります。推測するときも同じだけかかるようにするためです。</translation>
        </message>
        <message>
            <source>Write these words down now</source>
            <translation>今すぐ書き留めてください</translation>
        </message>
        <message>
            <source>Print…</source>
            <translation>印刷…</translation>
        </message>
        <message>
            <source>They are on paper</source>
            <translation>紙に書きました</translation>
        </message>
        <message>
            <source>They are not shown again once you leave this page, and an earlier code opens nothing any more. Printers may keep what they print.</source>
            <translation>このページを離れると二度と表示されず、以前のコードでは何も開けなくなります。プリンターは印刷した内容を保持することがあります。</translation>
        </message>
        <message>
            <source>Three words, from the paper</source>
            <translation>紙から三つの単語</translation>
        </message>
        <message>
            <source>Compare</source>
            <translation>照合する</translation>
        </message>
        <message>
            <source>Show the words again</source>
            <translation>単語をもう一度表示</translation>
        </message>
        <message>
            <source>The code is ready</source>
            <translation>コードの準備ができました</translation>
        </message>
        <message>
            <source>Keep the paper away from this laptop. The next code, or using this one, makes it void.</source>
            <translation>紙はこのノートパソコンと別の場所に保管してください。次のコードを作るか、このコードを使うと無効になります。</translation>
        </message>
        <message>
            <source>Recovery code: {name}</source>
            <translation>回復コード: {name}</translation>
        </message>
        <message>
            <source>The last code was never compared with its paper. If you do not have it, make another one.</source>
            <translation>前回のコードは紙と照合されていません。手元になければ、もう一度作ってください。</translation>
        </message>
        <message>
            <source>There is a code. Making another one voids it.</source>
            <translation>コードがあります。新しく作ると無効になります。</translation>
        </message>
        <message>
            <source>There is none yet.</source>
            <translation>まだありません。</translation>
        </message>
        <message>
            <source>Word {n}: {word}</source>
            <translation>単語{n}: {word}</translation>
        </message>
        <message>
            <source>Word {n}</source>
            <translation>単語{n}</translation>
        </message>
        <message>
            <source>Word {n} is another one.</source>
            <translation>単語{n}が違います。</translation>
        </message>
        <message>
            <source>It opens this computer's disk if the passphrase is forgotten. Keep it on paper.</source>
            <translation>パスフレーズを忘れたとき、このコンピューターのディスクを開けます。紙で保管してください。</translation>
        </message>
    </context>
    <context>
        <name>ScreenDesk</name>
        <message>
            <source>Its screen appears in a moment.</source>
            <translation>まもなく画面が表示されます。</translation>
        </message>
        <message>
            <source>You do that on the Home page: {chord}.</source>
            <translation>ホーム画面（{chord}）で操作できます。</translation>
        </message>
    </context>
    <context>
        <name>SettingsPage</name>
        <message>
            <source>Settings</source>
            <translation>設定</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>ホームに戻る</translation>
        </message>
        <message>
            <source>Undo</source>
            <translation>元に戻す</translation>
        </message>
        <message>
            <source>Reset to defaults</source>
            <translation>初期設定に戻す</translation>
        </message>
        <message>
            <source>Your phrase</source>
            <translation>あなたの合言葉</translation>
        </message>
        <message>
            <source>It is in the strip on top, where no computer can paint. A window that asks for a passphrase without your phrase above it is not this laptop's.</source>
            <translation>どちらのコンピューターも描けない、上の帯に表示されます。上に合言葉がないままパスフレーズを求めるウィンドウは、このノートパソコンのものではありません。</translation>
        </message>
        <message>
            <source>Colours and patterns</source>
            <translation>色と模様</translation>
        </message>
        <message>
            <source>Language</source>
            <translation>言語</translation>
        </message>
        <message>
            <source>As the desktop</source>
            <translation>デスクトップと同じ</translation>
        </message>
        <message>
            <source>Start the app again in it</source>
            <translation>この言語でアプリを起動し直す</translation>
        </message>
        <message>
            <source>Both computers go on running meanwhile.</source>
            <translation>その間も両方のコンピューターは動き続けます。</translation>
        </message>
    </context>
    <context>
        <name>SnapshotsPage</name>
        <message>
            <source>Earlier states</source>
            <translation>以前の状態</translation>
        </message>
        <message>
            <source>Back to Home</source>
            <translation>ホームに戻る</translation>
        </message>
        <message>
            <source>Earlier states of one computer</source>
            <translation>1台のコンピューターの以前の状態</translation>
        </message>
        <message>
            <source>Keep it as it is now</source>
            <translation>今の状態を残す</translation>
        </message>
        <message>
            <source>A name for it, such as: before the update</source>
            <translation>名前(例:更新の前)</translation>
        </message>
        <message>
            <source>A name for the state that is kept; may be left empty</source>
            <translation>残す状態の名前(空でもかまいません)</translation>
        </message>
        <message>
            <source>Keep this state</source>
            <translation>この状態を残す</translation>
        </message>
        <message>
            <source>Please wait</source>
            <translation>お待ちください</translation>
        </message>
        <message>
            <source>How far it is</source>
            <translation>進み具合</translation>
        </message>
        <message>
            <source>Passphrase of this computer</source>
            <translation>このコンピューターのパスフレーズ</translation>
        </message>
        <message>
            <source>Go back</source>
            <translation>戻す</translation>
        </message>
        <message>
            <source>Shut it down</source>
            <translation>シャットダウン</translation>
        </message>
        <message>
            <source>Leave it as it is</source>
            <translation>このままにする</translation>
        </message>
        <message>
            <source>Newest first</source>
            <translation>新しい順</translation>
        </message>
        <message>
            <source>Earlier states: {name}</source>
            <translation>以前の状態:{name}</translation>
        </message>
        <message>
            <source>What is kept could not be read.</source>
            <translation>残した状態を読み取れませんでした。</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>もう一度試す</translation>
        </message>
        <message>
            <source>It is kept.</source>
            <translation>状態を残しました。</translation>
        </message>
        <message>
            <source>It is as it was then. “Undo” below brings back what was there before.</source>
            <translation>そのときの状態に戻りました。下の「元に戻す」で、直前の状態を取り戻せます。</translation>
        </message>
        <message>
            <source>It is removed.</source>
            <translation>状態を削除しました。</translation>
        </message>
        <message>
            <source>{n} are kept, as many as there can be. Remove one first; “Undo” works as ever.</source>
            <translation>{n}個の状態が残されていて、これが上限です。先に1つ削除してください。「元に戻す」はいつでも使えます。</translation>
        </message>
        <message>
            <source>It is running: it stands still until that is done, which may take minutes. What is on its disk is kept, not what is open and not saved.</source>
            <translation>動作中です。終わるまで止まり、数分かかることがあります。残るのはディスクにあるもので、開いたまま保存していないものは残りません。</translation>
        </message>
        <message>
            <source>What is on its disk is kept, and you can go back to it.</source>
            <translation>ディスクにあるものが残り、後でその状態に戻せます。</translation>
        </message>
        <message>
            <source>Its disk is being copied. If it is running it stands still until that is done.</source>
            <translation>ディスクをコピーしています。動作中の場合は、終わるまで止まります。</translation>
        </message>
        <message>
            <source>It is going back. It cannot be started until that is done.</source>
            <translation>以前の状態に戻しています。終わるまで起動できません。</translation>
        </message>
        <message>
            <source>It is being removed.</source>
            <translation>削除しています。</translation>
        </message>
        <message>
            <source>It is shutting down.</source>
            <translation>シャットダウンしています。</translation>
        </message>
        <message>
            <source>Go back to {when}?</source>
            <translation>{when}の状態に戻しますか。</translation>
        </message>
        <message>
            <source>Remove the state of {when}?</source>
            <translation>{when}の状態を削除しますか。</translation>
        </message>
        <message>
            <source>Everything written in this computer since is gone from it: files, programs, settings. It is kept as a state of its own, so this can be undone. Passphrases stay as they are now.</source>
            <translation>それ以降にこのコンピューターに書き込まれたもの(ファイル、プログラム、設定)はなくなります。今の状態は別に残されるので、元に戻せます。パスフレーズは今のままです。</translation>
        </message>
        <message>
            <source>You cannot go back to it any more, and this cannot be undone.</source>
            <translation>この状態には戻せなくなり、削除は元に戻せません。</translation>
        </message>
        <message>
            <source>This computer has to be off. Save what is open in it first.</source>
            <translation>このコンピューターの電源が切れている必要があります。先に、開いているものを保存してください。</translation>
        </message>
        <message>
            <source>Remove it</source>
            <translation>削除</translation>
        </message>
        <message>
            <source>Before the update to “{name}”</source>
            <translation>「{name}」へ更新する前の状態</translation>
        </message>
        <message>
            <source>Before you went back</source>
            <translation>戻す前の状態</translation>
        </message>
        <message>
            <source>Before you went back to “{name}”</source>
            <translation>「{name}」に戻す前の状態</translation>
        </message>
        <message>
            <source>A state without a name</source>
            <translation>名前のない状態</translation>
        </message>
        <message>
            <source>Looking for earlier states.</source>
            <translation>以前の状態を探しています。</translation>
        </message>
        <message>
            <source>Nothing is kept yet. Keep a state before an update or anything you are unsure of.</source>
            <translation>まだ何も残されていません。更新や、不安のある操作の前に状態を残してください。</translation>
        </message>
        <message>
            <source>Now: as it is</source>
            <translation>現在:今の状態</translation>
        </message>
        <message>
            <source>Undo</source>
            <translation>元に戻す</translation>
        </message>
        <message>
            <source>Go back…</source>
            <translation>戻す…</translation>
        </message>
        <message>
            <source>Remove…</source>
            <translation>削除…</translation>
        </message>
        <message>
            <source>Go back to {when}: {what}</source>
            <translation>{when}に戻す:{what}</translation>
        </message>
        <message>
            <source>Remove {when}: {what}</source>
            <translation>{when}を削除:{what}</translation>
        </message>
    </context>
    <context>
        <name>StorageCard</name>
        <message>
            <source>Storage and systems</source>
            <translation>ストレージとシステム</translation>
        </message>
        <message>
            <source>Recovery code</source>
            <translation>回復コード</translation>
        </message>
        <message>
            <source>Recovery code: {name}</source>
            <translation>回復コード: {name}</translation>
        </message>
        <message>
            <source>Earlier states</source>
            <translation>以前の状態</translation>
        </message>
        <message>
            <source>Earlier states: {name}</source>
            <translation>以前の状態:{name}</translation>
        </message>
        <message>
            <source>Nothing yet</source>
            <translation>未提供</translation>
        </message>
        <message>
            <source>Systems appear here once your company offers them.</source>
            <translation>会社がシステムを提供すると、ここに表示されます。</translation>
        </message>
        <message>
            <source>Ready</source>
            <translation>準備完了</translation>
        </message>
        <message>
            <source>Downloading</source>
            <translation>ダウンロード中</translation>
        </message>
        <message>
            <source>{name}: encrypted, up to {disk} GB, {lock}</source>
            <translation>{name}: 暗号化済み、最大 {disk} GB、{lock}</translation>
        </message>
        <message>
            <source>open now</source>
            <translation>現在は開いています</translation>
        </message>
        <message>
            <source>locked</source>
            <translation>ロック中です</translation>
        </message>
        <message>
            <source>verified, {size}</source>
            <translation>検証済み、{size}</translation>
        </message>
        <message>
            <source>{done} of {all}</source>
            <translation>{done} / {all}</translation>
        </message>
        <message>
            <source>Download of {name}</source>
            <translation>{name} のダウンロード</translation>
        </message>
    </context>
    <context>
        <name>Strip</name>
        <message>
            <source>You are in: {name}. Your phrase: {phrase}</source>
            <translation>現在の場所: {name}。合言葉: {phrase}</translation>
        </message>
        <message>
            <source>“{phrase}”</source>
            <translation>「{phrase}」</translation>
        </message>
    </context>
    <context>
        <name>Tray</name>
        <message>
            <source>Home</source>
            <translation>ホーム</translation>
        </message>
        <message>
            <source>Lock</source>
            <translation>ロック</translation>
        </message>
        <message>
            <source>Twinhull: both computers cannot be reached just now</source>
            <translation>Twinhull: 現在、2台のコンピューターに接続できません</translation>
        </message>
    </context>
    <context>
        <name>UnlockForm</name>
        <message>
            <source>PIN of this computer</source>
            <translation>このコンピューターのPIN</translation>
        </message>
        <message>
            <source>Passphrase of this computer</source>
            <translation>このコンピューターのパスフレーズ</translation>
        </message>
        <message>
            <source>The same passphrase again</source>
            <translation>パスフレーズをもう一度</translation>
        </message>
        <message>
            <source>Nothing is lost: the passphrase and the recovery code open it as before.</source>
            <translation>何も失われていません。パスフレーズと回復コードで、これまでどおり開けます。</translation>
        </message>
        <message>
            <source>Was the change yours, an update for instance? Then open it by the passphrase and make the PIN anew with “twinhull disk add {name} tpm”. If it was not, somebody may have changed this laptop.</source>
            <translation>変更は、更新などご自身によるものですか。その場合はパスフレーズで開き、「twinhull disk add {name} tpm」でPINを作り直してください。そうでなければ、だれかがこのノートパソコンを変更した可能性があります。</translation>
        </message>
        <message>
            <source>Or leave the laptop on until the chip takes a PIN again.</source>
            <translation>または、チップが再びPINを受け付けるまで、電源を入れたままにしてください。</translation>
        </message>
        <message>
            <source>Use the passphrase</source>
            <translation>パスフレーズを使う</translation>
        </message>
        <message>
            <source>Use the PIN</source>
            <translation>PINを使う</translation>
        </message>
        <message>
            <source>Wrong tries so far: {n}. The next one is taken in {s} s.</source>
            <translation>これまでの誤入力: {n}回。次の入力は{s}秒後に受け付けます。</translation>
        </message>
        <message>
            <source>Wrong tries so far: {n}. After {free} more each next one has to wait.</source>
            <translation>これまでの誤入力: {n}回。あと{free}回で、次の入力から待ち時間が入ります。</translation>
        </message>
        <message>
            <source>Wrong tries so far: {n}. After another one the wait is longer.</source>
            <translation>これまでの誤入力: {n}回。もう一度間違えると、待ち時間が長くなります。</translation>
        </message>
    </context>
    <context>
        <name>UnreachablePage</name>
        <message>
            <source>Waiting for Twinhull</source>
            <translation>Twinhullを待っています</translation>
        </message>
        <message>
            <source>Looking for the service that runs your two computers.</source>
            <translation>2台のコンピューターを動かすサービスを探しています。</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>もう一度試す</translation>
        </message>
        <message>
            <source>Twinhull does not answer</source>
            <translation>Twinhullが応答しません</translation>
        </message>
    </context>
    <context>
        <name>VpnCard</name>
        <message>
            <source>Company connection</source>
            <translation>会社との接続</translation>
        </message>
        <message>
            <source>Prove it now</source>
            <translation>今すぐ検証</translation>
        </message>
        <message>
            <source>Sign-in page: {page}</source>
            <translation>サインインページ: {page}</translation>
        </message>
        <message>
            <source>Gateway {gateway} · last contact {ago} · received {rx} · sent {tx}</source>
            <translation>ゲートウェイ {gateway} · 最終通信 {ago} · 受信 {rx} · 送信 {tx}</translation>
        </message>
        <message>
            <source>No way around it</source>
            <translation>迂回路なし</translation>
        </message>
        <message>
            <source>Not in place</source>
            <translation>未設定</translation>
        </message>
        <message>
            <source>Proving…</source>
            <translation>検証中…</translation>
        </message>
        <message>
            <source>Held</source>
            <translation>合格</translation>
        </message>
        <message>
            <source>FAILED</source>
            <translation>不合格</translation>
        </message>
    </context>
    <context>
        <name>WelcomeCard</name>
        <message>
            <source>Make this laptop yours</source>
            <translation>このノートパソコンを自分のものにする</translation>
        </message>
        <message>
            <source>Choose phrase and colours</source>
            <translation>合言葉と色を選ぶ</translation>
        </message>
        <message>
            <source>Keep them</source>
            <translation>このままにする</translation>
        </message>
        <message>
            <source>The strip on top says which computer you are in, by colour and pattern. Choose a phrase for it, so that nobody can imitate it.</source>
            <translation>上の帯は、色と模様でどちらのコンピューターにいるかを示します。誰にもまねされないように、合言葉を選んでください。</translation>
        </message>
        <message>
            <source>The strip on top says which computer you are in, by colour, pattern and your phrase “{phrase}”. Choose your own, so that nobody can imitate it.</source>
            <translation>上の帯は、色と模様とあなたの合言葉「{phrase}」で、どちらのコンピューターにいるかを示します。誰にもまねされないように、自分で選んでください。</translation>
        </message>
    </context>
    <context>
        <name>choices</name>
        <message>
            <source>Choose a phrase of {n} characters or more.</source>
            <translation>{n}文字以上の合言葉を選んでください。</translation>
        </message>
        <message>
            <source>Choose a phrase of {n} characters or fewer.</source>
            <translation>{n}文字以内の合言葉を選んでください。</translation>
        </message>
        <message>
            <source>Choose a phrase that can be seen: one of its characters cannot.</source>
            <translation>目に見える合言葉を選んでください。見えない文字が含まれています。</translation>
        </message>
        <message>
            <source>The other computer has that colour, and you are to tell them apart by it.</source>
            <translation>その色はもう一方のコンピューターが使っています。色で見分けられるようにしてください。</translation>
        </message>
        <message>
            <source>The other computer has that pattern, and you are to tell them apart by it.</source>
            <translation>その模様はもう一方のコンピューターが使っています。模様で見分けられるようにしてください。</translation>
        </message>
    </context>
    <context>
        <name>chords</name>
        <message>
            <source>Other computer</source>
            <translation>もう一方のコンピューター</translation>
        </message>
        <message>
            <source>Home</source>
            <translation>ホーム</translation>
        </message>
        <message>
            <source>Lock</source>
            <translation>ロック</translation>
        </message>
        <message>
            <source>Take the keyboard back</source>
            <translation>キーボード入力を戻す</translation>
        </message>
        <message>
            <source>Corporate computer</source>
            <translation>会社用コンピューター</translation>
        </message>
        <message>
            <source>Personal computer</source>
            <translation>個人用コンピューター</translation>
        </message>
        <message>
            <source>Side by side</source>
            <translation>並べて表示</translation>
        </message>
        <message>
            <source>The other one small in the corner</source>
            <translation>もう一方を隅に小さく表示</translation>
        </message>
        <message>
            <source>Full screen</source>
            <translation>全画面</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>Log</source>
            <translation>ログ</translation>
        </message>
        <message>
            <source>Answer for a device</source>
            <translation>デバイスについて回答</translation>
        </message>
        <message>
            <source>Copy to the other computer</source>
            <translation>もう一方のコンピューターへコピー</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>設定</translation>
        </message>
        <message>
            <source>The system takes that combination itself.</source>
            <translation>その組み合わせはシステムが使います。</translation>
        </message>
        <message>
            <source>Press one key with two of Ctrl, Alt and Meta, or you could not type it in a computer.</source>
            <translation>Ctrl、Alt、Metaのうち二つと一緒に一つのキーを押してください。そうでないと、コンピューターでそのキーを使えなくなります。</translation>
        </message>
        <message>
            <source>“{action}” has that combination.</source>
            <translation>その組み合わせは「{action}」が使っています。</translation>
        </message>
    </context>
    <context>
        <name>notices</name>
        <message>
            <source>A device waits for you</source>
            <translation>デバイスが回答を待っています</translation>
        </message>
        <message>
            <source>{n} devices wait for you</source>
            <translation>{n}台のデバイスが回答を待っています</translation>
        </message>
        <message>
            <source>Nothing can use it until you say where it goes.</source>
            <translation>渡す先を決めるまで、どこからも使えません。</translation>
        </message>
        <message>
            <source>{computer} stopped</source>
            <translation>{computer}が停止しました</translation>
        </message>
        <message>
            <source>It stopped because of a problem. You can start it again.</source>
            <translation>問題が発生して停止しました。もう一度起動できます。</translation>
        </message>
        <message>
            <source>{computer} was erased</source>
            <translation>{computer}が消去されました</translation>
        </message>
        <message>
            <source>Your personal computer is as it was; the receipt is in the log.</source>
            <translation>個人用コンピューターはそのままです。受領証はログにあります。</translation>
        </message>
        <message>
            <source>This laptop has left the company</source>
            <translation>このノートパソコンは会社から離れました</translation>
        </message>
        <message>
            <source>Company not heard of</source>
            <translation>会社と連絡が取れません</translation>
        </message>
        <message>
            <source>This network wants you to sign in</source>
            <translation>このネットワークはサインインが必要です</translation>
        </message>
        <message>
            <source>You do that on your personal computer; until then the company cannot be reached.</source>
            <translation>個人用コンピューターでサインインしてください。それまで会社には接続できません。</translation>
        </message>
        <message>
            <source>The corporate network failed its check</source>
            <translation>会社用ネットワークが検査に不合格でした</translation>
        </message>
        <message>
            <source>It is shut for safety, and stays so until a check passes.</source>
            <translation>安全のため遮断しています。検査に合格するまでこのままです。</translation>
        </message>
        <message>
            <source>Your company changed its rules</source>
            <translation>会社がルールを変更しました</translation>
        </message>
        <message>
            <source>Something said to be your company's was refused</source>
            <translation>会社からと称するものを拒否しました</translation>
        </message>
        <message>
            <source>It was not signed as it has to be. The rules from before stay in force.</source>
            <translation>必要な署名がありませんでした。これまでのルールが引き続き有効です。</translation>
        </message>
        <message>
            <source>What they are is on the Home page.</source>
            <translation>内容はホーム画面で確認できます。</translation>
        </message>
        <message>
            <source>What they mean for you is the same.</source>
            <translation>実際の影響に変わりはありません。</translation>
        </message>
    </context>
    <context>
        <name>rail</name>
        <message>
            <source>Home</source>
            <translation>ホーム</translation>
        </message>
        <message>
            <source>Corporate</source>
            <translation>会社用</translation>
        </message>
        <message>
            <source>Personal</source>
            <translation>個人用</translation>
        </message>
        <message>
            <source>Side by side</source>
            <translation>並べる</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>Log</source>
            <translation>ログ</translation>
        </message>
    </context>
    <context>
        <name>words</name>
        <message>
            <source>Devices cannot be followed just now, so nothing new is let in: {why}</source>
            <translation>現在デバイスを監視できないため、新しいものは受け付けません: {why}</translation>
        </message>
        <message>
            <source>What the computers have stays. Run 'systemctl status twinhull-devd'; until it answers, wait.</source>
            <translation>すでに渡したデバイスはそのままです。'systemctl status twinhull-devd' を実行し、応答があるまでお待ちください。</translation>
        </message>
        <message>
            <source>keyboard</source>
            <translation>キーボード</translation>
        </message>
        <message>
            <source>mouse</source>
            <translation>マウス</translation>
        </message>
        <message>
            <source>hub</source>
            <translation>ハブ</translation>
        </message>
        <message>
            <source>storage</source>
            <translation>ストレージ</translation>
        </message>
        <message>
            <source>webcam</source>
            <translation>ウェブカメラ</translation>
        </message>
        <message>
            <source>sound device</source>
            <translation>サウンドデバイス</translation>
        </message>
        <message>
            <source>card reader</source>
            <translation>カードリーダー</translation>
        </message>
        <message>
            <source>security key</source>
            <translation>セキュリティキー</translation>
        </message>
        <message>
            <source>phone</source>
            <translation>電話</translation>
        </message>
        <message>
            <source>serial adapter</source>
            <translation>シリアルアダプター</translation>
        </message>
        <message>
            <source>network adapter</source>
            <translation>ネットワークアダプター</translation>
        </message>
        <message>
            <source>Bluetooth adapter</source>
            <translation>Bluetoothアダプター</translation>
        </message>
        <message>
            <source>printer</source>
            <translation>プリンター</translation>
        </message>
        <message>
            <source>controller</source>
            <translation>コントローラー</translation>
        </message>
        <message>
            <source>combined device</source>
            <translation>複合デバイス</translation>
        </message>
        <message>
            <source>display adapter</source>
            <translation>ディスプレイアダプター</translation>
        </message>
        <message>
            <source>part</source>
            <translation>部品</translation>
        </message>
        <message>
            <source>device</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>Unnamed</source>
            <translation>名前なし</translation>
        </message>
        <message>
            <source>{name} {kind}</source>
            <translation>{name}（{kind}）</translation>
        </message>
        <message>
            <source>In use, read only</source>
            <translation>使用中、読み取り専用</translation>
        </message>
        <message>
            <source>In use</source>
            <translation>使用中</translation>
        </message>
        <message>
            <source>Asks you</source>
            <translation>要回答</translation>
        </message>
        <message>
            <source>Needs its code</source>
            <translation>コード入力待ち</translation>
        </message>
        <message>
            <source>Waiting</source>
            <translation>待機中</translation>
        </message>
        <message>
            <source>Kept out</source>
            <translation>遮断</translation>
        </message>
        <message>
            <source>Switched off</source>
            <translation>無効化</translation>
        </message>
        <message>
            <source>A new keyboard. It gets its code once those before it are done.</source>
            <translation>新しいキーボードです。先のキーボードが済むと、コードが表示されます。</translation>
        </message>
        <message>
            <source>A new keyboard is let in once its code, shown above, was typed on it.</source>
            <translation>上に表示されたコードがそのキーボードで入力されると、使えるようになります。</translation>
        </message>
        <message>
            <source>It typed faster than a person can, so nothing it types is taken any more.</source>
            <translation>人間には不可能な速さで入力したため、入力を受け付けなくなりました。</translation>
        </message>
        <message>
            <source>{reason} ({rules}).</source>
            <translation>{reason}（{rules}）。</translation>
        </message>
        <message>
            <source>You sent it there.</source>
            <translation>ご自分で渡しました。</translation>
        </message>
        <message>
            <source>It can be answered once the screen is unlocked.</source>
            <translation>画面のロックを解除すると回答できます。</translation>
        </message>
        <message>
            <source>your company's rule “{name}” offers the corporate computer</source>
            <translation>会社のルール「{name}」では会社用コンピューターに渡せます</translation>
        </message>
        <message>
            <source>your rule “{name}” offers the personal computer</source>
            <translation>ご自分のルール「{name}」では個人用コンピューターに渡せます</translation>
        </message>
        <message>
            <source>{offers}, and the choice is yours.</source>
            <translation>{offers}。どちらにするか選べます。</translation>
        </message>
        <message>
            <source>; </source>
            <translation>。</translation>
        </message>
        <message>
            <source>built-in rule “{name}”</source>
            <translation>組み込みルール「{name}」</translation>
        </message>
        <message>
            <source>your company's rule “{name}”</source>
            <translation>会社のルール「{name}」</translation>
        </message>
        <message>
            <source>your rule “{name}”</source>
            <translation>ご自分のルール「{name}」</translation>
        </message>
        <message>
            <source>, </source>
            <translation>、</translation>
        </message>
        <message>
            <source>To corporate</source>
            <translation>会社用へ</translation>
        </message>
        <message>
            <source>To personal</source>
            <translation>個人用へ</translation>
        </message>
        <message>
            <source>Camera allowed</source>
            <translation>カメラ許可</translation>
        </message>
        <message>
            <source>Switch every camera off for both computers. It stays off until you switch it on again.</source>
            <translation>2台のコンピューターのカメラをすべてオフにします。もう一度オンにするまでオフのままです。</translation>
        </message>
        <message>
            <source>Camera off</source>
            <translation>カメラオフ</translation>
        </message>
        <message>
            <source>Let rules and answers decide about cameras again.</source>
            <translation>カメラの使用を、再びルールと回答に任せます。</translation>
        </message>
        <message>
            <source>Microphone allowed</source>
            <translation>マイク許可</translation>
        </message>
        <message>
            <source>Switch every microphone off for both computers. It stays off until you switch it on again.</source>
            <translation>2台のコンピューターのマイクをすべてオフにします。もう一度オンにするまでオフのままです。</translation>
        </message>
        <message>
            <source>Microphone off</source>
            <translation>マイクオフ</translation>
        </message>
        <message>
            <source>Let rules and answers decide about microphones again.</source>
            <translation>マイクの使用を、再びルールと回答に任せます。</translation>
        </message>
        <message>
            <source>Corporate computer</source>
            <translation>会社用コンピューター</translation>
        </message>
        <message>
            <source>Personal computer</source>
            <translation>個人用コンピューター</translation>
        </message>
        <message>
            <source>Twinhull · this laptop</source>
            <translation>Twinhull · このノートパソコン</translation>
        </message>
        <message>
            <source>Not set up</source>
            <translation>未セットアップ</translation>
        </message>
        <message>
            <source>Choose a passphrase and this computer is made ready for you.</source>
            <translation>パスフレーズを決めると、このコンピューターが準備されます。</translation>
        </message>
        <message>
            <source>Locked</source>
            <translation>ロック中</translation>
        </message>
        <message>
            <source>Type your PIN or your passphrase to open and start it.</source>
            <translation>PINまたはパスフレーズを入力すると、ロックを解除して起動します。</translation>
        </message>
        <message>
            <source>Type your passphrase to open and start it.</source>
            <translation>パスフレーズを入力すると、ロックが解除されて起動します。</translation>
        </message>
        <message>
            <source>Off</source>
            <translation>オフ</translation>
        </message>
        <message>
            <source>It is off. Start it whenever you need it.</source>
            <translation>電源が切れています。必要なときに起動してください。</translation>
        </message>
        <message>
            <source>Starting</source>
            <translation>起動中</translation>
        </message>
        <message>
            <source>It is starting. This can take a minute.</source>
            <translation>起動しています。1分ほどかかることがあります。</translation>
        </message>
        <message>
            <source>Running</source>
            <translation>稼働中</translation>
        </message>
        <message>
            <source>It is running. Open its screen to use it.</source>
            <translation>稼働しています。使うには画面を開いてください。</translation>
        </message>
        <message>
            <source>Paused</source>
            <translation>一時停止中</translation>
        </message>
        <message>
            <source>It is paused and uses no processor time.</source>
            <translation>一時停止しています。プロセッサーは使っていません。</translation>
        </message>
        <message>
            <source>Shutting down</source>
            <translation>シャットダウン中</translation>
        </message>
        <message>
            <source>It is shutting down and saving its work.</source>
            <translation>作業内容を保存してシャットダウンしています。</translation>
        </message>
        <message>
            <source>Problem</source>
            <translation>問題あり</translation>
        </message>
        <message>
            <source>It stopped because of a problem. You can start it again.</source>
            <translation>問題が発生して停止しました。もう一度起動できます。</translation>
        </message>
        <message>
            <source>Not connected to the company. Nothing can leave the corporate computer.</source>
            <translation>会社に接続していません。会社用コンピューターから外へは何も送られません。</translation>
        </message>
        <message>
            <source>Connecting</source>
            <translation>接続中</translation>
        </message>
        <message>
            <source>Connecting. Nothing leaves outside the tunnel meanwhile.</source>
            <translation>接続しています。その間、トンネルの外へは何も送られません。</translation>
        </message>
        <message>
            <source>Connected</source>
            <translation>接続済み</translation>
        </message>
        <message>
            <source>Everything the corporate computer sends goes through the tunnel.</source>
            <translation>会社用コンピューターの通信はすべてトンネルを通ります。</translation>
        </message>
        <message>
            <source>Blocked</source>
            <translation>遮断中</translation>
        </message>
        <message>
            <source>The corporate computer's network is shut for safety.</source>
            <translation>安全のため、会社用コンピューターのネットワークを遮断しています。</translation>
        </message>
        <message>
            <source>The connection failed. Nothing leaves outside the tunnel.</source>
            <translation>接続に失敗しました。トンネルの外へは何も送られません。</translation>
        </message>
        <message>
            <source>never</source>
            <translation>なし</translation>
        </message>
        <message>
            <source>one second ago</source>
            <translation>1秒前</translation>
        </message>
        <message>
            <source>{n} seconds ago</source>
            <translation>{n}秒前</translation>
        </message>
        <message>
            <source>{n} minutes ago</source>
            <translation>{n}分前</translation>
        </message>
        <message>
            <source>{n} hours ago</source>
            <translation>{n}時間前</translation>
        </message>
        <message>
            <source>{n} days ago</source>
            <translation>{n}日前</translation>
        </message>
        <message>
            <source>1 processor</source>
            <translation>プロセッサー 1個</translation>
        </message>
        <message>
            <source>{n} processors</source>
            <translation>プロセッサー {n}個</translation>
        </message>
        <message>
            <source>1 hour</source>
            <translation>1時間</translation>
        </message>
        <message>
            <source>{n} hours</source>
            <translation>{n}時間</translation>
        </message>
        <message>
            <source>Separation by the processor</source>
            <translation>プロセッサーによる分離</translation>
        </message>
        <message>
            <source>Confinement of each computer</source>
            <translation>各コンピューターの隔離</translation>
        </message>
        <message>
            <source>Memory that reaches the disk</source>
            <translation>ディスクに書き出されるメモリー</translation>
        </message>
        <message>
            <source>Disk encryption</source>
            <translation>ディスクの暗号化</translation>
        </message>
        <message>
            <source>Memory access of devices</source>
            <translation>デバイスのメモリーアクセス</translation>
        </message>
        <message>
            <source>Interrupts of devices</source>
            <translation>デバイスの割り込み</translation>
        </message>
        <message>
            <source>Crash dumps</source>
            <translation>クラッシュダンプ</translation>
        </message>
        <message>
            <source>Processor flaws</source>
            <translation>プロセッサーの脆弱性</translation>
        </message>
        <message>
            <source>Security chip (TPM)</source>
            <translation>セキュリティチップ（TPM）</translation>
        </message>
        <message>
            <source>Locked system kernel</source>
            <translation>カーネルのロックダウン</translation>
        </message>
        <message>
            <source>Wiping of freed memory</source>
            <translation>解放したメモリーの消去</translation>
        </message>
        <message>
            <source>Service that runs both computers</source>
            <translation>2台のコンピューターを動かすサービス</translation>
        </message>
        <message>
            <source>Twinhull's own state</source>
            <translation>Twinhull 自身の状態</translation>
        </message>
        <message>
            <source>The corporate computer is locked.</source>
            <translation>会社用コンピューターはロックされています。</translation>
        </message>
        <message>
            <source>The company has not been heard of.</source>
            <translation>会社と連絡が取れていません。</translation>
        </message>
        <message>
            <source>Ask your company; what was on the corporate computer is gone.</source>
            <translation>会社に問い合わせてください。会社用コンピューターの内容は失われました。</translation>
        </message>
        <message>
            <source>Connect this laptop to the internet and wait; nothing of the corporate computer is lost.</source>
            <translation>このノートパソコンをインターネットに接続してお待ちください。会社用コンピューターの内容は失われていません。</translation>
        </message>
        <message>
            <source>Twinhull is in safe mode and changes nothing: {why}</source>
            <translation>Twinhull はセーフモードで動作しており、何も変更しません: {why}</translation>
        </message>
        <message>
            <source>Run 'sudo twinhull doctor --recover-state'; the damaged file is kept.</source>
            <translation>「sudo twinhull doctor --recover-state」を実行してください。破損したファイルは残ります。</translation>
        </message>
        <message>
            <source>Its own computer</source>
            <translation>専用のコンピューター</translation>
        </message>
        <message>
            <source>Gets {memory} of memory, {cpus} and {disk} GB of disk.</source>
            <translation>メモリー {memory}、{cpus}、ディスク {disk} GBを使います。</translation>
        </message>
        <message>
            <source>Network</source>
            <translation>ネットワーク</translation>
        </message>
        <message>
            <source>All of the corporate computer's traffic goes through the company.</source>
            <translation>会社用コンピューターの通信はすべて会社を経由します。</translation>
        </message>
        <message>
            <source>The corporate computer reaches one company network and nothing else.</source>
            <translation>会社用コンピューターが接続できるのは、会社のネットワーク1つだけです。</translation>
        </message>
        <message>
            <source>The corporate computer reaches {n} company networks and nothing else.</source>
            <translation>会社用コンピューターが接続できるのは、会社のネットワーク{n}つだけです。</translation>
        </message>
        <message>
            <source>Devices</source>
            <translation>デバイス</translation>
        </message>
        <message>
            <source>Always go to it: {require}. May go to it: {allow}. Never: {deny}.</source>
            <translation>必ず渡す: {require}、渡せる: {allow}、渡さない: {deny}です。</translation>
        </message>
        <message>
            <source>{n} kind</source>
            <translation>{n}種類</translation>
        </message>
        <message>
            <source>{n} kinds</source>
            <translation>{n}種類</translation>
        </message>
        <message>
            <source>No device you plug in goes to the corporate computer.</source>
            <translation>接続したデバイスが会社用コンピューターに渡ることはありません。</translation>
        </message>
        <message>
            <source>Copy out of it</source>
            <translation>取り出すコピー</translation>
        </message>
        <message>
            <source>Copy into it</source>
            <translation>取り込むコピー</translation>
        </message>
        <message>
            <source>Without contact</source>
            <translation>連絡がない場合</translation>
        </message>
        <message>
            <source>After {hours} offline it locks; later its keys are to be destroyed.</source>
            <translation>オフラインが{hours}続くとロックされ、その後、鍵が破棄されます。</translation>
        </message>
        <message>
            <source>After {hours} offline it locks. Nothing of it is lost.</source>
            <translation>オフラインが{hours}続くとロックされます。内容は失われません。</translation>
        </message>
        <message>
            <source>What it sees</source>
            <translation>見られる情報</translation>
        </message>
        <message>
            <source>Reports about the corporate computer: {items}.</source>
            <translation>会社用コンピューターに関する報告: {items}。</translation>
        </message>
        <message>
            <source>Nothing is reported.</source>
            <translation>何も報告されません。</translation>
        </message>
        <message>
            <source>allowed</source>
            <translation>許可</translation>
        </message>
        <message>
            <source>you are asked</source>
            <translation>確認</translation>
        </message>
        <message>
            <source>not allowed</source>
            <translation>禁止</translation>
        </message>
        <message>
            <source>Clipboard: {clipboard}; files: {files}; links: {links}.</source>
            <translation>クリップボード: {clipboard}、ファイル: {files}、リンク: {links}です。</translation>
        </message>
    </context>
</TS>
